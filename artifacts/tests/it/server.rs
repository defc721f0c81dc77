//! A small HTTP server on a loopback port: what it says per path is data, and what it was asked is recorded.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// What is answered for a path.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The body, whole or from the offset of a `Range` header on.
    Body(Vec<u8>),
    /// As many bytes of the body, then the connection is closed; later requests get the rest by `Range`.
    CutOnce(Vec<u8>, usize),
    /// The body from its start, whatever range is asked for.
    NoRanges(Vec<u8>),
    /// One body after the other, from request to request; the last one for good.
    Then(Vec<Vec<u8>>),
    /// Elsewhere.
    Redirect(String),
}

pub(crate) struct Server {
    pub(crate) url: String,
    /// Path and `Range` header (or nothing) of each GET.
    pub(crate) asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    pub(crate) fn start(answers: impl IntoIterator<Item = (String, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, mut answers) = (asked.clone(), answers.into_iter().collect());
        // Ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle is none of the server's business.
                let _ = serve(stream, &mut answers, &log);
            }
        });
        Self { url, asked }
    }

    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &mut BTreeMap<String, Answer>,
    log: &Mutex<Vec<(String, String)>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut words = request.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut range = String::new();
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("range: ") {
            range = value.to_owned();
        }
        if line.is_empty() {
            break;
        }
    }
    if method == "GET" {
        log.lock().unwrap().push((path.to_owned(), range.clone()));
    }
    let from = range
        .strip_prefix("bytes=")
        .and_then(|r| r.strip_suffix('-')?.parse().ok());
    match answers.get(path).cloned() {
        None => head(&mut stream, "404 Not Found", 0, ""),
        Some(Answer::Redirect(to)) => {
            head(&mut stream, "302 Found", 0, &format!("Location: {to}\r\n"))
        }
        Some(Answer::Then(mut bodies)) => {
            let body = bodies.remove(0);
            if !bodies.is_empty() {
                answers.insert(path.to_owned(), Answer::Then(bodies));
            }
            whole(&mut stream, &body)
        }
        Some(Answer::NoRanges(body)) => whole(&mut stream, &body),
        Some(Answer::CutOnce(body, length)) => {
            answers.insert(path.to_owned(), Answer::Body(body.clone()));
            head(&mut stream, "200 OK", body.len(), "")?;
            stream.write_all(&body[..length])
        }
        Some(Answer::Body(body)) => match from {
            None => whole(&mut stream, &body),
            Some(from) if from < body.len() => {
                head(&mut stream, "206 Partial Content", body.len() - from, "")?;
                stream.write_all(&body[from..])
            }
            Some(_) => head(&mut stream, "416 Range Not Satisfiable", 0, ""),
        },
    }
}

fn whole(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    head(stream, "200 OK", body.len(), "")?;
    stream.write_all(body)
}

fn head(stream: &mut TcpStream, status: &str, length: usize, more: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n"
    )
}

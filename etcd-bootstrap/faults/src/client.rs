//! A client of one member: the few calls of etcd's JSON gateway that a load needs, each with an end.

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use host_exec::{
    Host,
    https::{Connector, HttpsClient, client_config, is_ok},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc, time::Duration};

/// The register.
const REGISTER: &str = "register";
/// Before the number of each write: a key of its own, so that a lost one can be missed.
const LOG: &str = "log/";
/// The first key after all that begin with [`LOG`].
const LOG_END: &str = "log0";

/// Whether a failed call never reached the member, so that it may be tried at another one.
#[must_use]
pub fn was_refused(error: &anyhow::Error) -> bool {
    error.to_string().contains("Connection refused")
}

/// A client of one member.
#[derive(Debug, Clone)]
pub struct Client {
    http: HttpsClient,
    base: String,
    stale: bool,
}

impl Client {
    /// A client of the member at `address`, dialled from `host`; every call takes at most `timeout`.
    ///
    /// # Errors
    ///
    /// The certificates cannot be used.
    pub fn new(
        host: Arc<dyn Host>,
        address: Ipv4Addr,
        (ca, certificate, key): (&str, &str, &str),
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let tls = client_config(ca, Some((certificate, key)))?;
        Ok(Self {
            http: HttpsClient::new(Connector::new(host, tls, timeout), timeout),
            base: format!("https://{address}:2379"),
            stale: false,
        })
    }

    /// The same client, whose reads of the register are serializable: of what its member has, however old.
    #[must_use]
    pub fn with_stale_reads(mut self) -> Self {
        self.stale = true;
        self
    }

    /// Writes `value` into the register and, in the same transaction, its own key.
    ///
    /// # Errors
    ///
    /// Anything but a clear yes; it may have happened all the same, now or later.
    pub async fn write(&self, value: u64) -> anyhow::Result<()> {
        let text = BASE64.encode(value.to_string());
        let put = |key: &str| json!({ "requestPut": { "key": BASE64.encode(key), "value": text } });
        let both = [put(REGISTER), put(&format!("{LOG}{value}"))];
        let answer = self.call("/v3/kv/txn", &json!({ "success": both })).await?;
        ensure!(answer["succeeded"] == true, "{answer}");
        Ok(())
    }

    /// What the register holds, by a linearizable read unless it was made for others.
    ///
    /// # Errors
    ///
    /// Anything but a clear answer.
    pub async fn read(&self) -> anyhow::Result<Option<u64>> {
        let asked = json!({ "key": BASE64.encode(REGISTER), "serializable": self.stale });
        let answer = self.call("/v3/kv/range", &asked).await?;
        answer["kvs"].get(0).map(number).transpose()
    }

    /// All writes that are there, by a linearizable read.
    ///
    /// # Errors
    ///
    /// Anything but a clear answer.
    pub async fn log(&self) -> anyhow::Result<BTreeSet<u64>> {
        let asked = json!({ "key": BASE64.encode(LOG), "range_end": BASE64.encode(LOG_END) });
        let answer = self.call("/v3/kv/range", &asked).await?;
        let entries = answer["kvs"].as_array().map(Vec::as_slice);
        entries.unwrap_or_default().iter().map(number).collect()
    }

    /// Writes `kibibytes` of nothing in particular under `key`.
    ///
    /// # Errors
    ///
    /// Anything but a clear yes.
    pub async fn fill(&self, key: &str, kibibytes: usize) -> anyhow::Result<()> {
        let value = BASE64.encode(vec![b'x'; kibibytes * 1024]);
        let put = json!({ "key": BASE64.encode(key), "value": value });
        self.call("/v3/kv/put", &put).await.map(drop)
    }

    /// One call of the gateway.
    ///
    /// # Errors
    ///
    /// No answer, or another status than 200.
    pub async fn call(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let answer = self.http.post_json(&url, serde_json::to_vec(body)?).await?;
        let text = String::from_utf8_lossy(answer.body());
        ensure!(is_ok(&answer), "{}: {text}", answer.status());
        serde_json::from_slice(answer.body()).with_context(|| format!("answer to {path}: {text}"))
    }
}

/// The value of a key, as a number.
fn number(entry: &Value) -> anyhow::Result<u64> {
    let text = entry["value"].as_str().context("a key without a value")?;
    let text = String::from_utf8(BASE64.decode(text)?)?;
    text.parse().with_context(|| format!("value {text:?}"))
}

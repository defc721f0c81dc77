//! getopt(3), as most of the programs read their options.

/// The options of a list of words, and the words behind them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Options {
    /// In order, with their values.
    pub(crate) given: Vec<(char, Option<String>)>,
    /// What follows the options.
    pub(crate) operands: Vec<String>,
}

impl Options {
    /// Reads words by a description such as `fp:`, in which a colon follows an option that takes a value.
    ///
    /// # Errors
    ///
    /// The message of getopt(3), without the name of the program.
    pub(crate) fn parse(words: &[String], known: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                options.operands.push(word.clone());
                break;
            };
            if letters == "-" {
                break;
            }
            for (place, letter) in letters.char_indices() {
                let takes_value = match known.split_once(letter) {
                    Some((_, after)) if letter != ':' => after.starts_with(':'),
                    _ => return Err(format!("illegal option -- {letter}")),
                };
                if !takes_value {
                    options.given.push((letter, None));
                    continue;
                }
                let attached = &letters[place + letter.len_utf8()..];
                let value = match attached {
                    "" => words.next().cloned(),
                    value => Some(value.to_owned()),
                };
                let value =
                    value.ok_or_else(|| format!("option requires an argument -- {letter}"))?;
                options.given.push((letter, Some(value)));
                break;
            }
        }
        options.operands.extend(words.cloned());
        Ok(options)
    }

    /// Whether an option is there.
    pub(crate) fn has(&self, letter: char) -> bool {
        self.given.iter().any(|(given, _)| *given == letter)
    }

    /// The last value of an option.
    pub(crate) fn value(&self, letter: char) -> Option<&str> {
        self.values(letter).last()
    }

    /// All values of an option.
    pub(crate) fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        let of_letter = self.given.iter().filter(move |(given, _)| *given == letter);
        of_letter.filter_map(|(_, value)| value.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_alone_together_and_with_values() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let read = |text| Options::parse(&words(text), "Hpo:t:").map(|o| (o.given, o.operands));
        let of = |letter, value: &str| (letter, Some(value.to_owned()));
        assert_eq!(
            read("-Hp -oname -t all a -b"),
            Ok((
                vec![('H', None), ('p', None), of('o', "name"), of('t', "all")],
                words("a -b")
            ))
        );
        assert_eq!(read("-H -- -p"), Ok((vec![('H', None)], words("-p"))));
        assert_eq!(read("-x"), Err("illegal option -- x".into()));
        assert_eq!(read("-:"), Err("illegal option -- :".into()));
        assert_eq!(read("-Ho"), Err("option requires an argument -- o".into()));
    }
}

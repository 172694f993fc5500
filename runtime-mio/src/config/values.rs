//! What every key is worth in this process: defaults, what the command, a file and flags say, in this order.

use std::{cell::RefCell, collections::BTreeMap, collections::BTreeSet, fmt::Write};

use super::{
    ConfigError, Origin,
    file::Property,
    host::Host,
    keys::{Key, Program, Status},
};

/// The values of all keys of a program.
#[derive(Debug)]
pub struct Values {
    program: Program,
    host: Host,
    set: BTreeMap<&'static str, (String, Origin)>,
    remarks: Vec<Remark>,
    /// Which keys settings were made from: held against the table of keys by a test.
    read: RefCell<BTreeSet<&'static str>>,
}

/// Something an operator should know about a configuration that is taken nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Likely a mistake.
    Warning(String),
    /// Good to know.
    Note(String),
}

impl Values {
    /// Everything at its default.
    #[must_use]
    pub const fn new(program: Program, host: Host) -> Self {
        Self { program, host, set: BTreeMap::new(), remarks: Vec::new(), read: RefCell::new(BTreeSet::new()) }
    }

    /// The machine that defaults depend on.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Gives a key another default for this command. A file or a flag goes before it.
    ///
    /// # Errors
    /// Those of [`Self::set`].
    pub fn set_default(&mut self, name: &'static str, value: impl Into<String>) -> Result<(), ConfigError> {
        self.set(name, value.into(), Origin::Command)
    }

    /// Sets a key from a flag.
    ///
    /// # Errors
    /// Those of [`Self::set`].
    pub fn set_flag(&mut self, flag: &'static str, name: &'static str, value: impl Into<String>) -> Result<(), ConfigError> {
        self.set(name, value.into(), Origin::Flag(flag))
    }

    /// Takes the properties of a file. An unknown key is passed over with a warning, as RocketMQ passes over it without.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] or [`ConfigError::Refused`] for the first value that is.
    pub fn set_all(&mut self, properties: Vec<Property>) -> Result<(), ConfigError> {
        for Property { origin, key, value } in properties {
            let Some(known) = self.program.key(&key) else {
                let hint = self.program.nearest(&key).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                self.remarks.push(Remark::Warning(format!("{origin}: unknown key {key} is passed over{hint}")));
                continue;
            };
            if let Some((_, before @ Origin::Line { .. })) = self.set.get(known.name) {
                self.remarks.push(Remark::Warning(format!("{origin}: {key} was set before, at {before}; the later one counts")));
            }
            self.set(known.name, value, origin)?;
        }
        Ok(())
    }

    fn set(&mut self, name: &'static str, value: String, origin: Origin) -> Result<(), ConfigError> {
        let key = self.program.key(name).ok_or(ConfigError::NoSuchKey(name))?;
        // Nothing after the equals sign is Java's null for a text and keeps the default of anything else.
        if value.is_empty() && key.kind != super::keys::Kind::Text {
            return Ok(());
        }
        key.check(&value).map_err(|expected| ConfigError::Malformed {
            origin: origin.clone(),
            key: name,
            value: value.clone(),
            expected,
        })?;
        let differs = !value.eq_ignore_ascii_case(&key.default_on(&self.host));
        match key.status {
            Status::Only(why) if differs => {
                return Err(ConfigError::Refused { origin, key: name, value, why: why.to_owned() });
            }
            Status::NotYet(why) | Status::NoEffect(why) if differs && origin != Origin::Command => {
                self.remarks.push(Remark::Note(format!("{origin}: {name} has no effect: {why}")));
            }
            _ => {}
        }
        self.set.insert(name, (value, origin));
        Ok(())
    }

    /// What is to be said about the configuration, each once.
    pub fn take_remarks(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.remarks)
    }

    /// Where a key was set; [`Origin::Command`] if it was not.
    #[must_use]
    pub fn origin(&self, name: &'static str) -> Origin {
        self.set.get(name).map_or(Origin::Command, |(_, origin)| origin.clone())
    }

    /// Whether a file or a flag sets a key.
    #[must_use]
    pub fn is_set(&self, name: &'static str) -> bool {
        self.set.get(name).is_some_and(|(_, origin)| *origin != Origin::Command)
    }

    /// A value as text.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchKey`], which is a mistake of this program.
    pub fn text(&self, name: &'static str) -> Result<String, ConfigError> {
        let key = self.program.key(name).ok_or(ConfigError::NoSuchKey(name))?;
        self.read.borrow_mut().insert(key.name);
        Ok(self.value(key))
    }

    /// A switch.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn switch(&self, name: &'static str) -> Result<bool, ConfigError> {
        Ok(self.text(name)?.eq_ignore_ascii_case("true"))
    }

    /// A number in a range.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] if it is outside.
    pub fn number<N: TryFrom<i64>>(&self, name: &'static str, range: std::ops::RangeInclusive<i64>) -> Result<N, ConfigError> {
        let value = self.text(name)?;
        let number = value.parse::<i64>().ok().filter(|number| range.contains(number)).and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| self.malformed(name, value, format!("a number from {} to {}", range.start(), range.end())))
    }

    /// The complaint about a value.
    #[must_use]
    pub fn malformed(&self, name: &'static str, value: String, expected: String) -> ConfigError {
        ConfigError::Malformed { origin: self.origin(name), key: name, value, expected }
    }

    /// The refusal of a value.
    #[must_use]
    pub fn refused(&self, name: &'static str, value: String, why: impl Into<String>) -> ConfigError {
        ConfigError::Refused { origin: self.origin(name), key: name, value, why: why.into() }
    }

    /// All values as properties, sorted by key: what `-p` prints.
    #[must_use]
    pub fn to_properties(&self) -> String {
        let all: BTreeMap<_, _> = self.program.keys().map(|key| (key.name, self.value(key))).collect();
        all.into_iter().fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name}={value}");
            text
        })
    }

    /// The keys that settings were made from so far.
    #[must_use]
    pub fn keys_read(&self) -> BTreeSet<&'static str> {
        self.read.borrow().clone()
    }

    fn value(&self, key: &Key) -> String {
        self.set.get(key.name).map_or_else(|| key.default_on(&self.host), |(value, _)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::parse;

    fn broker(text: &str) -> Result<Values, ConfigError> {
        let mut values = Values::new(Program::Broker, Host::example());
        values.set_all(parse("broker.conf", text.as_bytes())?)?;
        Ok(values)
    }

    #[test]
    fn a_file_goes_before_defaults_and_a_flag_before_a_file() {
        let mut values = Values::new(Program::Broker, Host::example());
        values.set_default("brokerName", "mine").unwrap();
        assert_eq!(values.text("brokerName").unwrap(), "mine");
        values.set_all(parse("broker.conf", b"brokerName=broker-a\n").unwrap()).unwrap();
        assert_eq!(values.text("brokerName").unwrap(), "broker-a");
        values.set_flag("--broker-name", "brokerName", "broker-b").unwrap();
        assert_eq!(values.text("brokerName").unwrap(), "broker-b");
        assert_eq!(values.text("brokerIP1").unwrap(), "10.0.0.7");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_its_neighbour() {
        let mut values = broker("\nbrokerNmae=x\n").unwrap();
        let expected = "broker.conf:2: unknown key brokerNmae is passed over; did you mean brokerName?";
        assert_eq!(values.take_remarks(), [Remark::Warning(expected.to_owned())]);
    }

    #[test]
    fn a_malformed_value_is_named_with_line_key_value_and_type() {
        let error = broker("listenPort=abc\n").unwrap_err();
        assert_eq!(error.to_string(), "broker.conf:1: listenPort=abc: expected a whole number");
        let error = broker("listenPort=70000\n").unwrap().number::<u16>("listenPort", 1..=65535).unwrap_err();
        assert_eq!(error.to_string(), "broker.conf:1: listenPort=70000: expected a number from 1 to 65535");
    }

    #[test]
    fn what_would_break_a_promise_is_refused() {
        let error = broker("aclEnable=true\n").unwrap_err();
        assert_eq!(error.to_string(), "broker.conf:1: aclEnable=true is refused: access control is not here yet");
        assert!(broker("aclEnable=false\n").is_ok());
    }

    #[test]
    fn a_key_without_effect_gets_a_line_unless_it_has_its_default() {
        let mut values = broker("sendMessageThreadPoolNums=16\nwarmMapedFileEnable=false\n").unwrap();
        let remarks = values.take_remarks();
        assert_eq!(remarks.len(), 1);
        assert!(matches!(&remarks[0], Remark::Note(text) if text.starts_with("broker.conf:1: sendMessageThreadPoolNums has no effect")));
    }

    #[test]
    fn a_key_that_is_set_twice_has_its_later_value() {
        let mut values = broker("brokerId=1\nbrokerId=2\n").unwrap();
        assert_eq!(values.text("brokerId").unwrap(), "2");
        let expected = "broker.conf:2: brokerId was set before, at broker.conf:1; the later one counts";
        assert_eq!(values.take_remarks(), [Remark::Warning(expected.to_owned())]);
    }

    #[test]
    fn all_values_are_printed_sorted() {
        let text = broker("brokerName=broker-a\n").unwrap().to_properties();
        assert!(text.contains("\nbrokerName=broker-a\n"));
        let names: Vec<_> = text.lines().map(|line| line.split('=').next().unwrap()).collect();
        assert!(names.is_sorted());
        assert!(names.len() > 480, "{}", names.len());
    }
}

//! Every known key with its value and who has set it.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    ConfigError, Origin, Place, Surroundings, file,
    key::{Key, Standard, Status},
    keys, value,
};

/// A line for the operator that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Something that is most likely a mistake.
    Warning(String),
    /// Something that is good to know.
    Info(String),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Warning(text) | Self::Info(text)) = self;
        f.write_str(text)
    }
}

#[derive(Clone, Debug)]
struct Setting {
    key: &'static Key,
    value: String,
    origin: Origin,
}

/// The values of all keys that a place knows.
#[derive(Clone, Debug)]
pub struct Config {
    place: Place,
    surroundings: Surroundings,
    settings: BTreeMap<&'static str, Setting>,
    remarks: Vec<Remark>,
    /// Keys whose values were asked for.
    #[cfg(test)]
    asked: std::cell::RefCell<std::collections::BTreeSet<String>>,
}

impl Config {
    /// RocketMQ's defaults.
    #[must_use]
    pub fn new(place: Place, surroundings: Surroundings) -> Self {
        let settings = keys::of(place).map(|key| (key.name, Setting { key, value: String::new(), origin: Origin::Default })).collect();
        let mut config = Self {
            place,
            surroundings,
            settings,
            remarks: Vec::new(),
            #[cfg(test)]
            asked: std::cell::RefCell::default(),
        };
        config.settle();
        config
    }

    /// What is configured.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The machine that the defaults were made for.
    #[must_use]
    pub const fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Sets a key.
    ///
    /// # Errors
    /// The value is none that the key takes, or it promises what is not served. A key that is not known is only remarked upon.
    pub fn set(&mut self, name: &str, value: impl Into<String>, origin: Origin) -> Result<(), ConfigError> {
        let value = value.into();
        let Some(setting) = self.settings.get_mut(name) else {
            self.remark_unknown(name, &origin);
            return Ok(());
        };
        // An empty value unsets: Java's setters take it for texts, and ignore it for everything else.
        if value.is_empty() {
            return Ok(());
        }
        value::check(&setting.key.kind, &value).map_err(|expected| ConfigError::Value {
            origin: origin.clone(),
            key: name.to_owned(),
            value: value.clone(),
            expected,
        })?;
        if let (Origin::File(_, before), Origin::File(_, line)) = (&setting.origin, &origin)
            && before != line
        {
            self.remarks.push(Remark::Warning(format!("{origin}: {name} was set before, in line {before}; the later one counts")));
        }
        (setting.value, setting.origin) = (value, origin);
        self.settle();
        Ok(())
    }

    /// Sets what a file says.
    ///
    /// # Errors
    /// The file cannot be read, or says what cannot be: all that it says so.
    pub fn read(&mut self, path: &Path) -> Result<(), ConfigError> {
        let shared: Arc<Path> = path.into();
        let entries = file::read(path)?.into_iter();
        ConfigError::all(entries.map(|entry| self.set(&entry.key, entry.value, Origin::File(shared.clone(), entry.line))))
    }

    /// Sets the name servers that the environment names. `standalone` has its own.
    ///
    /// # Errors
    /// They are no addresses.
    pub fn read_environment(&mut self) -> Result<(), ConfigError> {
        const NAME_SERVERS: &str = "NAMESRV_ADDR";
        let Some(addresses) = (self.surroundings.environment)(NAME_SERVERS) else { return Ok(()) };
        if self.place != Place::Broker {
            return Ok(());
        }
        if let Some(Origin::File(..)) = self.origin("namesrvAddr")
            && self.text("namesrvAddr") != addresses
        {
            // RocketMQ lets the file win.
            let remark = format!("environment {NAME_SERVERS}={addresses} replaces namesrvAddr={} of the file", self.text("namesrvAddr"));
            self.remarks.push(Remark::Warning(remark));
        }
        self.set("namesrvAddr", addresses, Origin::Environment(NAME_SERVERS))
    }

    /// Refuses values that promise what is not served, and remarks upon those that have no effect.
    ///
    /// # Errors
    /// All such promises.
    pub fn judge(&mut self) -> Result<(), ConfigError> {
        let (mut remarks, mut broken) = (Vec::new(), Vec::new());
        for setting in self.settings.values().filter(|setting| setting.origin.is_chosen()) {
            let Setting { key, value, origin } = setting;
            let standard = self.standard(key);
            if standard.eq_ignore_ascii_case(value) {
                continue;
            }
            let name = key.name;
            match key.status {
                Status::Used => {}
                Status::NoEffect(why) => remarks.push(Remark::Info(format!("{origin}: {name}={value} has no effect: {why}"))),
                Status::NotYet(what) => {
                    remarks.push(Remark::Warning(format!("{origin}: {name}={value} has no effect yet: {what} is not served")));
                }
                Status::OnlyDefault(promise) => {
                    let (origin, value) = (origin.clone(), value.clone());
                    broken.push(Err(ConfigError::Promise { origin, key: name.to_owned(), value, promise, standard }));
                }
            }
        }
        self.remarks.append(&mut remarks);
        ConfigError::all(broken)
    }

    /// What is to be told to the operator, once.
    pub fn take_remarks(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.remarks)
    }

    /// All keys in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Key, &str)> {
        self.settings.values().map(|setting| (setting.key, &*setting.value))
    }

    /// Who has set a key.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        Some(&self.settings.get(name)?.origin)
    }

    /// A key's text; empty if it is not set or not known here.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        #[cfg(test)]
        self.asked.borrow_mut().insert(name.to_owned());
        self.settings.get(name).map_or("", |setting| &setting.value)
    }

    /// A switch.
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        value::switch(self.text(name)).unwrap_or_default()
    }

    /// A whole number. What does not fit the type that is asked for is as much of it as fits.
    #[must_use]
    pub fn number<N: TryFrom<i64> + Default>(&self, name: &str) -> N {
        value::whole(self.text(name)).and_then(|number| N::try_from(number).ok()).unwrap_or_default()
    }

    /// A path.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.text(name))
    }

    /// The address of a host that is named or given as an address. Names are looked up now, once.
    ///
    /// # Errors
    /// The name has no address.
    pub fn host(&self, name: &str) -> Result<IpAddr, ConfigError> {
        let text = self.text(name);
        text.parse().or_else(|_| {
            let unknown = |why| self.wrong(name, format!("an IP address or the name of a host that can be looked up here ({why})"));
            (self.surroundings.look_up)(text).map_err(unknown)
        })
    }

    /// An address; checked when it was set.
    ///
    /// # Errors
    /// It is none.
    pub fn address(&self, name: &str) -> Result<IpAddr, ConfigError> {
        self.text(name).parse().map_err(|_| self.wrong(name, "an IP address"))
    }

    /// That a key's value cannot be worked with.
    #[must_use]
    pub fn wrong(&self, name: &str, expected: impl Into<String>) -> ConfigError {
        let origin = self.origin(name).cloned().unwrap_or(Origin::Default);
        ConfigError::Value { origin, key: name.to_owned(), value: self.text(name).to_owned(), expected: expected.into() }
    }

    /// The keys whose values were asked for since the last call.
    #[cfg(test)]
    pub(super) fn take_asked(&self) -> std::collections::BTreeSet<String> {
        self.asked.take()
    }

    fn remark_unknown(&mut self, name: &str, origin: &Origin) {
        if let Some(owner) = keys::owner(name) {
            self.remarks.push(Remark::Warning(format!("{origin}: {name} is a key of {owner}: nothing here reads it")));
            return;
        }
        let hint = keys::nearest(self.place, name).map(|nearest| format!("; the nearest known key is {nearest}")).unwrap_or_default();
        self.remarks.push(Remark::Warning(format!("{origin}: unknown key {name} is ignored{hint}")));
    }

    /// Gives all keys that nobody has set their defaults, which may follow from other keys.
    fn settle(&mut self) {
        for follows in [false, true] {
            let open = self.settings.values().filter(|setting| setting.origin == Origin::Default);
            let open: Vec<_> = open.map(|setting| setting.key).filter(|key| key.standard.follows_from_others() == follows).collect();
            for key in open {
                let value = self.standard(key);
                if let Some(setting) = self.settings.get_mut(key.name) {
                    setting.value = value;
                }
            }
        }
    }

    fn standard(&self, key: &Key) -> String {
        let inside = |folder: &Path, name: &str| folder.join(name).to_string_lossy().into_owned();
        match key.standard {
            Standard::Is(text) => text.to_owned(),
            Standard::Number(number) => number.to_string(),
            Standard::Unset => String::new(),
            Standard::Processors(count) => count(self.surroundings.processors).to_string(),
            Standard::HostName => self.surroundings.host_name.clone().unwrap_or_else(|| "DEFAULT_BROKER".to_owned()),
            Standard::LocalAddress => self.surroundings.local_address.to_string(),
            Standard::ListenPort => if self.place.has_broker() { "10911" } else { "9876" }.to_owned(),
            Standard::HaPort => (self.number::<i64>("listenPort") + 1).to_string(),
            Standard::CommitLog => inside(&self.path("storePathRootDir"), "commitlog"),
            Standard::Home(name) => inside(&self.surroundings.home, name),
            Standard::Environment(name) => (self.surroundings.environment)(name).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;

//! Where a setting comes from: flag > `MIZAN_*` environment > `--config FILE` > default.
//!
//! Every setting has one name, written `listen` in the file, `MIZAN_LISTEN` in the environment and `--listen` as a
//! flag; the limits that are fixed at format stand in the file's `[format]` table. A key that the file has and this
//! list has not is an error, because a misspelt limit must not be a default. An empty variable counts as unset.
//!
//! What is absent: any reading of the process's environment. It comes in as a function, so that tests need not
//! change the environment that they share.

use crate::error::CliError;
use crate::exit;
use serde::Deserialize;
use std::io;
use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use thiserror::Error;

/// Bytes of the longest configuration, so that no file fills the memory.
const FILE_SIZE_MAX: u64 = 1 << 20;

/// Where a node is looked for, and where it listens, if nothing is said.
pub const ADDRESS_DEFAULT: &str = "127.0.0.1:7117";

/// Looks a variable of the environment up.
pub type Environment = Rc<dyn Fn(&str) -> Option<String>>;

/// A value in the file; numbers need no quotes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a text or a whole number")]
enum Value {
    Number(i64),
    Text(String),
}

macro_rules! keys {
    (
        top { $($top:ident $top_key:ident $top_env:literal $top_doc:literal,)* }
        format { $($format:ident $format_key:ident $format_env:literal $format_doc:literal,)* }
    ) => {
        /// A setting.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Key {
            $(#[doc = $top_doc] $top_key,)*
            $(#[doc = $format_doc] $format_key,)*
        }

        impl Key {
            /// All settings.
            pub const ALL: &[Self] = &[$(Self::$top_key,)* $(Self::$format_key,)*];

            /// The setting's name in the file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$top_key => stringify!($top),)*
                    $(Self::$format_key => concat!("format.", stringify!($format)),)*
                }
            }

            /// The setting's variable of the environment.
            #[must_use]
            pub const fn variable(self) -> &'static str {
                match self { $(Self::$top_key => $top_env,)* $(Self::$format_key => $format_env,)* }
            }
        }

        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            $($top: Option<Value>,)*
            #[serde(default)]
            format: FormatTable,
        }

        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct FormatTable {
            $($format: Option<Value>,)*
        }

        impl File {
            fn value(&self, key: Key) -> Option<&Value> {
                match key {
                    $(Key::$top_key => self.$top.as_ref(),)*
                    $(Key::$format_key => self.format.$format.as_ref(),)*
                }
            }
        }
    };
}

keys! {
    top {
        address Address "MIZAN_ADDRESS" "The node to talk to; several with commas between them.",
        data Data "MIZAN_DATA" "The directory of a node's files.",
        listen Listen "MIZAN_LISTEN" "Where a node listens.",
        metrics Metrics "MIZAN_METRICS" "Where a node answers scrapers and probers.",
        layout Layout "MIZAN_LAYOUT" "How a node's stages are mounted on threads.",
        scrub_rate ScrubRate "MIZAN_SCRUB_RATE" "Bytes a second at which a node reads its sealed segments again.",
        accept_clock AcceptClock "MIZAN_ACCEPT_CLOCK" "Whether a node believes its clock without the others' word: yes or no.",
        replicate Replicate "MIZAN_REPLICATE" "Where a node of a cluster listens for the others.",
        peers Peers "MIZAN_PEERS" "The other nodes' replication addresses, in the order of their numbers.",
        replica Replica "MIZAN_REPLICA" "The replication addresses that an operator asks.",
        secret_file SecretFile "MIZAN_SECRET_FILE" "The file with the cluster's secret.",
        cluster Cluster "MIZAN_CLUSTER" "The cluster's number; 0 for any.",
        connect_timeout ConnectTimeout "MIZAN_CONNECT_TIMEOUT" "How long an attempt to connect may take.",
        request_timeout RequestTimeout "MIZAN_REQUEST_TIMEOUT" "How long a reply may take.",
    }
    format {
        accounts FormatAccounts "MIZAN_FORMAT_ACCOUNTS" "Accounts that fit.",
        transfers FormatTransfers "MIZAN_FORMAT_TRANSFERS" "Transfers that fit.",
        holds FormatHolds "MIZAN_FORMAT_HOLDS" "Open holds that fit.",
        ledgers FormatLedgers "MIZAN_FORMAT_LEDGERS" "Ledgers that fit.",
        codes FormatCodes "MIZAN_FORMAT_CODES" "Registered codes that fit.",
        sessions FormatSessions "MIZAN_FORMAT_SESSIONS" "Sessions that fit.",
        session_idle FormatSessionIdle "MIZAN_FORMAT_SESSION_IDLE" "Idle time after which a session may be evicted.",
        window_requests FormatWindowRequests "MIZAN_FORMAT_WINDOW_REQUESTS" "Stored replies of a session.",
        window_bytes FormatWindowBytes "MIZAN_FORMAT_WINDOW_BYTES" "Bytes of a session's stored replies.",
        digest_interval FormatDigestInterval "MIZAN_FORMAT_DIGEST_INTERVAL" "Log entries between two digests.",
        segment_size FormatSegmentSize "MIZAN_FORMAT_SEGMENT_SIZE" "Bytes of a journal segment.",
        journal_io FormatJournalIo "MIZAN_FORMAT_JOURNAL_IO" "How the journal is written.",
        instruments FormatInstruments "MIZAN_FORMAT_INSTRUMENTS" "Instruments that fit.",
        orders FormatOrders "MIZAN_FORMAT_ORDERS" "Orders that are remembered, for ever.",
        open_orders FormatOpenOrders "MIZAN_FORMAT_OPEN_ORDERS" "Open orders that fit.",
        book_levels FormatBookLevels "MIZAN_FORMAT_BOOK_LEVELS" "Price levels that fit.",
        reports FormatReports "MIZAN_FORMAT_REPORTS" "Execution reports that are kept.",
    }
}

/// A setting's text, and where it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// As it was written.
    pub text: String,
    /// For messages: `--listen`, `MIZAN_LISTEN`, or `listen in mizan.toml`.
    pub origin: String,
    level: Level,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Level {
    File,
    Environment,
    Flag,
}

/// What a verb that can read both works on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A running node.
    Node(Vec<SocketAddr>),
    /// A node's files.
    Files(PathBuf),
}

/// The environment and the file; flags are given with each question.
#[derive(Clone)]
pub struct Settings {
    environment: Environment,
    file: File,
    file_name: String,
}

impl Settings {
    /// Settings without a file.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { environment, file: File::default(), file_name: String::new() }
    }

    /// Reads the file, if one is given by flag or by `MIZAN_CONFIG`.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or has an unknown key.
    pub fn load(environment: Environment, flag: Option<&Path>) -> Result<Self, CliError> {
        let variable = environment("MIZAN_CONFIG").filter(|text| !text.is_empty());
        let Some(path) = flag.map(Path::to_owned).or_else(|| variable.map(PathBuf::from)) else {
            return Ok(Self::new(environment));
        };
        let file_name = path.display().to_string();
        let what = || format!("cannot read the configuration {file_name}");
        let mut text = String::new();
        std::fs::File::open(&path)
            .and_then(|file| file.take(FILE_SIZE_MAX + 1).read_to_string(&mut text))
            .map_err(|source| CliError::File { what: what(), source })?;
        if text.len() as u64 > FILE_SIZE_MAX {
            let text = format!("{}: it is longer than {FILE_SIZE_MAX} bytes", what());
            return Err(CliError::Usage(text));
        }
        Self::parse(environment, &text, &file_name)
    }

    fn parse(environment: Environment, text: &str, file_name: &str) -> Result<Self, CliError> {
        let file = toml::from_str(text).map_err(|error| {
            CliError::Usage(format!("configuration {file_name}: {}", error.to_string().trim_end()))
        })?;
        Ok(Self { environment, file, file_name: file_name.to_owned() })
    }

    /// The same settings with an environment in which this variable has this value.
    #[must_use]
    pub fn with_variable(&self, variable: &'static str, value: String) -> Self {
        let outer = Rc::clone(&self.environment);
        let environment: Environment =
            Rc::new(move |name| if name == variable { Some(value.clone()) } else { outer(name) });
        Self { environment, ..self.clone() }
    }

    /// The setting from the highest place that has it; `None` if no place has.
    #[must_use]
    pub fn pick(&self, key: Key, flag: Option<&str>) -> Option<Setting> {
        if let Some(text) = flag {
            let (_, name) = key.name().rsplit_once('.').unwrap_or(("", key.name()));
            let origin = format!("--{}", name.replace('_', "-"));
            return Some(Setting { text: text.to_owned(), origin, level: Level::Flag });
        }
        let variable = (self.environment)(key.variable()).filter(|text| !text.is_empty());
        if let Some(text) = variable {
            let origin = key.variable().to_owned();
            return Some(Setting { text, origin, level: Level::Environment });
        }
        let text = match self.file.value(key)? {
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.clone(),
        };
        let origin = format!("`{}` in {}", key.name(), self.file_name);
        Some(Setting { text, origin, level: Level::File })
    }

    /// The setting, read by `read`, or the default.
    ///
    /// # Errors
    /// `read` refused the text; the error says where the text stands.
    pub fn get<T, E: std::fmt::Display>(
        &self,
        key: Key,
        flag: Option<&str>,
        default: T,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, CliError> {
        let Some(setting) = self.pick(key, flag) else { return Ok(default) };
        read(&setting.text).map_err(|error| {
            CliError::Usage(format!("{} is `{}`: {error}", setting.origin, setting.text))
        })
    }

    /// A whole number; `_` may separate digits.
    ///
    /// # Errors
    /// The text is not a number or too large.
    pub fn number(&self, key: Key, flag: Option<&str>, default: u64) -> Result<u64, CliError> {
        self.get(key, flag, default, |text| text.replace('_', "").parse::<u64>())
    }

    /// A number of bytes; see [`crate::units::parse_size`].
    ///
    /// # Errors
    /// The text is not a size.
    pub fn size(&self, key: Key, flag: Option<&str>, default: u64) -> Result<u64, CliError> {
        self.get(key, flag, default, crate::units::parse_size)
    }

    /// A span of time; see [`crate::units::parse_duration`].
    ///
    /// # Errors
    /// The text is not a duration.
    pub fn duration(
        &self,
        key: Key,
        flag: Option<&str>,
        default: Duration,
    ) -> Result<Duration, CliError> {
        self.get(key, flag, default, crate::units::parse_duration)
    }

    /// The cluster; 0 for any.
    ///
    /// # Errors
    /// The text is not a number.
    pub fn cluster(&self, flag: Option<&str>) -> Result<u128, CliError> {
        self.get(Key::Cluster, flag, 0, |text| {
            crate::names::parse_number(text).ok_or("not a number (decimal, or hex after 0x)")
        })
    }

    /// The nodes to talk to.
    ///
    /// # Errors
    /// A name that does not resolve, or no port.
    pub fn addresses(&self, flag: Option<&str>) -> Result<Vec<SocketAddr>, CliError> {
        Ok(match self.address_list(Key::Address, flag)? {
            Some(addresses) => addresses,
            None => resolve(ADDRESS_DEFAULT).map_err(|error| CliError::Usage(error.to_string()))?,
        })
    }

    /// Addresses with commas between them; `None` if no place has the setting.
    ///
    /// # Errors
    /// A name that does not resolve, or no port.
    pub fn address_list(
        &self,
        key: Key,
        flag: Option<&str>,
    ) -> Result<Option<Vec<SocketAddr>>, CliError> {
        let Some(Setting { text, origin, .. }) = self.pick(key, flag) else { return Ok(None) };
        resolve(&text).map(Some).map_err(|error| {
            let words = format!("{origin} is `{text}`: {error}");
            match error {
                AddressError::Malformed(_) => CliError::Usage(words),
                AddressError::Unknown(_) => CliError::failed(exit::UNREACHABLE, words),
            }
        })
    }

    /// A file that is named, if one is.
    #[must_use]
    pub fn file(&self, key: Key, flag: Option<&Path>) -> Option<PathBuf> {
        let flag = flag.map(|path| path.display().to_string());
        self.pick(key, flag.as_deref()).map(|setting| PathBuf::from(setting.text))
    }

    /// Where to listen.
    ///
    /// # Errors
    /// A name that does not resolve, or no port.
    pub fn listen(&self, flag: Option<&str>) -> Result<SocketAddr, CliError> {
        let default =
            resolve(ADDRESS_DEFAULT).map_err(|error| CliError::Usage(error.to_string()))?;
        let addresses = self.get(Key::Listen, flag, default, resolve)?;
        addresses.first().copied().ok_or_else(|| CliError::Usage("no address to listen on".into()))
    }

    /// Where to answer scrapers and probers; nowhere unless some place names an address.
    ///
    /// # Errors
    /// A name that does not resolve, or no port.
    pub fn metrics(&self, flag: Option<&str>) -> Result<Option<SocketAddr>, CliError> {
        let addresses = self.get(Key::Metrics, flag, Vec::new(), resolve)?;
        Ok(addresses.first().copied())
    }

    /// The directory of the files, which has no default.
    ///
    /// # Errors
    /// No place has it.
    pub fn data(&self, flag: Option<&Path>) -> Result<PathBuf, CliError> {
        if let Some(path) = flag {
            return Ok(path.to_owned());
        }
        let setting = self.pick(Key::Data, None).ok_or_else(|| {
            CliError::Usage("no data directory: give --data DIR, or set MIZAN_DATA".to_owned())
        })?;
        Ok(PathBuf::from(setting.text))
    }

    /// For verbs that read a node or files: exactly one of the two, from the highest place that names either.
    ///
    /// # Errors
    /// One place names both.
    pub fn target(
        &self,
        address_flag: Option<&str>,
        data_flag: Option<&Path>,
    ) -> Result<Target, CliError> {
        let data_text = data_flag.map(|path| path.display().to_string());
        let address = self.pick(Key::Address, address_flag);
        let data = self.pick(Key::Data, data_text.as_deref());
        match (&address, &data) {
            (Some(node), Some(files)) if node.level == files.level => Err(CliError::Usage(
                format!("both {} and {} are set: give exactly one", node.origin, files.origin),
            )),
            (node, Some(files)) if node.as_ref().is_none_or(|node| node.level < files.level) => {
                Ok(Target::Files(self.data(data_flag)?))
            }
            _ => Ok(Target::Node(self.addresses(address_flag)?)),
        }
    }
}

/// Why a text gives no address.
#[derive(Debug, Error)]
enum AddressError {
    #[error("{0}; an address is HOST:PORT, as in {ADDRESS_DEFAULT}")]
    Malformed(io::Error),
    #[error("{0}; check the host's name, or give the address as a number")]
    Unknown(io::Error),
}

fn resolve(text: &str) -> Result<Vec<SocketAddr>, AddressError> {
    let mut addresses = Vec::new();
    for part in text.split(',').map(str::trim) {
        let found = part.to_socket_addrs().map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => AddressError::Malformed(error),
            _ => AddressError::Unknown(error),
        })?;
        addresses.extend(found);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &'static [(&'static str, &'static str)]) -> Environment {
        Rc::new(move |name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn with_file(pairs: &'static [(&'static str, &'static str)], text: &str) -> Settings {
        Settings::parse(environment(pairs), text, "mizan.toml").expect("a good file")
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let file = "address = \"127.0.0.1:3\"";
        let both = with_file(&[("MIZAN_ADDRESS", "127.0.0.1:2")], file);
        let port =
            |settings: &Settings, flag| settings.addresses(flag).expect("an address")[0].port();
        assert_eq!(port(&both, Some("127.0.0.1:1")), 1);
        assert_eq!(port(&both, None), 2);
        assert_eq!(port(&with_file(&[("MIZAN_ADDRESS", "")], file), None), 3);
        assert_eq!(port(&with_file(&[], file), None), 3);
        assert_eq!(port(&with_file(&[], ""), None), 7117);
    }

    #[test]
    fn every_setting_can_stand_in_the_environment_and_in_the_file() {
        for key in Key::ALL {
            let text = match key.name().split_once('.') {
                Some((table, name)) => format!("[{table}]\n{name} = 7"),
                None => format!("{} = 7", key.name()),
            };
            let settings = with_file(&[], &text);
            assert_eq!(settings.pick(*key, None).expect("set").text, "7", "{}", key.name());
            let upper = key.name().replace('.', "_").to_ascii_uppercase();
            assert_eq!(key.variable(), format!("MIZAN_{upper}"));
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_file_and_key() {
        for text in ["adress = \"127.0.0.1:1\"", "[format]\nacounts = 5", "[other]\nx = 1"] {
            let result = Settings::parse(environment(&[]), text, "mizan.toml");
            let error = result.err().expect("refused");
            assert_eq!(error.exit_code(), exit::USAGE);
            assert!(error.to_string().contains("mizan.toml"), "{error}");
            assert!(error.to_string().contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn a_value_that_is_neither_text_nor_whole_number_is_refused() {
        for text in ["address = true", "[format]\naccounts = 1.5", "listen = [1]", "address ="] {
            let result = Settings::parse(environment(&[]), text, "mizan.toml");
            assert_eq!(result.err().expect("refused").exit_code(), exit::USAGE, "{text}");
        }
    }

    #[test]
    fn a_bad_value_names_the_place_where_it_stands() {
        let settings = with_file(&[("MIZAN_FORMAT_HOLDS", "many")], "[format]\naccounts = \"x\"");
        let error = settings.number(Key::FormatHolds, None, 1).expect_err("not a number");
        assert!(error.to_string().contains("MIZAN_FORMAT_HOLDS"), "{error}");
        let error = settings.number(Key::FormatAccounts, None, 1).expect_err("not a number");
        assert!(error.to_string().contains("`format.accounts` in mizan.toml"), "{error}");
        let error = settings.number(Key::FormatAccounts, Some("y"), 1).expect_err("not a number");
        assert!(error.to_string().contains("--accounts"), "{error}");
    }

    #[test]
    fn a_verb_takes_exactly_one_of_node_and_files() {
        let files = Target::Files(PathBuf::from("/d"));
        let both = with_file(&[("MIZAN_ADDRESS", "127.0.0.1:2"), ("MIZAN_DATA", "/d")], "");
        let error = both.target(None, None).expect_err("both");
        assert!(error.to_string().contains("exactly one"), "{error}");
        assert_eq!(both.target(None, Some(Path::new("/d"))).expect("flag wins"), files);
        let node = both.target(Some("127.0.0.1:9"), None).expect("flag wins");
        assert!(matches!(node, Target::Node(_)));
        let from_file = with_file(&[("MIZAN_DATA", "/d")], "address = \"127.0.0.1:2\"");
        assert_eq!(from_file.target(None, None).expect("the environment wins"), files);
        let none = with_file(&[], "");
        assert!(matches!(none.target(None, None).expect("the default"), Target::Node(_)));
    }

    #[test]
    fn a_file_that_is_not_there_is_a_usage_error() {
        let missing = Path::new("/nonexistent/mizan.toml");
        let result = Settings::load(environment(&[]), Some(missing));
        assert_eq!(result.err().expect("missing").exit_code(), exit::USAGE);
    }
}

//! What a key takes: how it is read, what is allowed, and how it is written.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use toml::de::DeValue;

use super::{
    super::{
        keys::{DetachKeys, parse_detach_keys},
        text::{
            duration::{parse_duration, write_duration},
            size::{parse_size, show_size},
        },
    },
    Settings,
};

/// A place in the settings, and what may be there.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    /// How many.
    Count(RangeInclusive<u64>, Place),
    /// How many bytes.
    Size(RangeInclusive<u64>, Place),
    /// How long, at least so long.
    Time(Duration, fn(&mut Settings) -> &mut Duration),
    /// The same, or no such time.
    MaybeTime(Duration, fn(&mut Settings) -> &mut Option<Duration>),
    /// An absolute path, or none.
    Path(fn(&mut Settings) -> &mut Option<PathBuf>),
    /// Keys on the keyboard.
    Keys(fn(&mut Settings) -> &mut DetachKeys),
    /// Names of environment variables.
    Names(fn(&mut Settings) -> &mut Vec<String>),
}

/// Where a number is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// As a `u32`.
    Small(fn(&mut Settings) -> &mut u32),
    /// As a `usize`.
    Large(fn(&mut Settings) -> &mut usize),
}

/// A value, for people and programs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
    /// Several.
    List(Vec<String>),
}

/// What stands for no value.
const NONE: &str = "none";

impl Field {
    /// Takes a value in; otherwise says what is wrong and what is allowed.
    pub(super) fn put(&self, settings: &mut Settings, value: &DeValue<'_>) -> Result<(), String> {
        let problem = match self.try_put(settings, value) {
            Ok(true) => return Ok(()),
            Ok(false) => format!("it is {}", describe(value)),
            Err(problem) => problem,
        };
        Err(format!("takes {}; {problem}", self.allowed()))
    }

    /// Whether the value is of the right kind; an error says more.
    fn try_put(&self, settings: &mut Settings, value: &DeValue<'_>) -> Result<bool, String> {
        let is_none = value.as_str() == Some(NONE);
        match self {
            Self::Count(range, place) => {
                let Some(count) = integer(value) else { return Ok(false) };
                return Ok(range.contains(&count) && place.put(settings, count));
            }
            Self::Size(range, place) => {
                let size = value.as_str().map_or_else(|| integer(value), parse_size);
                let Some(size) = size else { return Ok(false) };
                return Ok(range.contains(&size) && place.put(settings, size));
            }
            Self::MaybeTime(_, place) if is_none => *place(settings) = None,
            Self::Time(least, _) | Self::MaybeTime(least, _) => {
                let Some(text) = time_text(value) else { return Ok(false) };
                let time = parse_duration(text)?;
                if time < *least {
                    return Ok(false);
                }
                match self {
                    Self::MaybeTime(_, place) => *place(settings) = Some(time),
                    Self::Time(_, place) => *place(settings) = time,
                    _ => return Ok(false),
                }
            }
            Self::Path(place) if is_none => *place(settings) = None,
            Self::Path(place) => {
                let path = value.as_str().map(Path::new).filter(|path| path.is_absolute());
                let Some(path) = path else { return Ok(false) };
                *place(settings) = Some(path.into());
            }
            Self::Keys(place) => {
                let Some(text) = value.as_str() else { return Ok(false) };
                *place(settings) = parse_detach_keys(text)?;
            }
            Self::Names(place) => {
                let Some(names) = names(value) else { return Ok(false) };
                *place(settings) = names;
            }
        }
        Ok(true)
    }

    /// What may be written.
    pub(crate) fn allowed(&self) -> String {
        match self {
            Self::Count(range, _) => format!("a number, {} to {}", range.start(), range.end()),
            Self::Size(range, _) => {
                let (least, most) = (show_size(*range.start()), show_size(*range.end()));
                format!("a size, {least} to {most}")
            }
            Self::Time(least, _) if least.is_zero() => "a duration".into(),
            Self::Time(least, _) => format!("a duration, at least {}", write_duration(*least)),
            Self::MaybeTime(least, _) => {
                format!("a duration, at least {}, or \"none\"", write_duration(*least))
            }
            Self::Path(_) => "an absolute path or \"none\"".into(),
            Self::Keys(_) => "keys, as \"ctrl-p,ctrl-q\", or \"none\"".into(),
            Self::Names(_) => "a list of variables' names".into(),
        }
    }

    /// The value that is there.
    pub(crate) fn show(&self, settings: &Settings) -> Shown {
        let mut settings = settings.clone();
        let at = &mut settings;
        let time = |time: Option<Duration>| time.map_or_else(|| NONE.into(), write_duration);
        match self {
            Self::Count(_, place) => Shown::Number(place.get(at)),
            Self::Size(_, place) => Shown::Text(show_size(place.get(at))),
            Self::Time(_, place) => Shown::Text(time(Some(*place(at)))),
            Self::MaybeTime(_, place) => Shown::Text(time(*place(at))),
            Self::Path(place) => {
                let path = place(at).as_ref();
                Shown::Text(path.map_or_else(|| NONE.into(), |path| path.display().to_string()))
            }
            Self::Keys(place) => Shown::Text(place(at).to_string()),
            Self::Names(place) => Shown::List(place(at).clone()),
        }
    }
}

impl Place {
    fn get(self, settings: &mut Settings) -> u64 {
        match self {
            Self::Small(place) => u64::from(*place(settings)),
            Self::Large(place) => *place(settings) as u64,
        }
    }

    /// Whether the number fits.
    fn put(self, settings: &mut Settings, number: u64) -> bool {
        match self {
            Self::Small(place) => u32::try_from(number).map(|it| *place(settings) = it).is_ok(),
            Self::Large(place) => usize::try_from(number).map(|it| *place(settings) = it).is_ok(),
        }
    }
}

impl Shown {
    /// As JSON.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(list) => list.clone().into(),
        }
    }

    /// As TOML.
    pub(crate) fn to_toml(&self) -> String {
        // TOML knows every escape that JSON writes.
        let quoted = |text: &String| Value::from(text.as_str()).to_string();
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => quoted(text),
            Self::List(list) => {
                format!("[{}]", list.iter().map(quoted).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A duration's text; a bare number is seconds, as on the command line.
fn time_text<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    match value {
        DeValue::String(text) => Some(text),
        DeValue::Integer(seconds) if seconds.radix() == 10 => Some(seconds.as_str()),
        DeValue::Float(seconds) => Some(seconds.as_str()),
        _ => None,
    }
}

fn names(value: &DeValue<'_>) -> Option<Vec<String>> {
    let is_name = |name: &&str| !name.is_empty() && !name.contains(['=', '\0']);
    let names = value.as_array()?.iter();
    names.map(|name| name.get_ref().as_str().filter(is_name).map(String::from)).collect()
}

/// What is there, as it would be written.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(is_true) => is_true.to_string(),
        DeValue::Array(_) => "a list that is not".into(),
        value => format!("a {}", value.type_str()),
    }
}

//! What `taut send` is told to type: words and keys, in the order of the command line.

use std::{ffi::OsString, os::unix::ffi::OsStrExt};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::super::keys::{Key, KeyModes, Paste, parse_key};

/// Words and keys. Not derived: a derived struct loses the order between the two.
#[derive(Clone, Debug, Default)]
pub(crate) struct TypedItems(Vec<Item>);

#[derive(Clone, Debug)]
enum Item {
    Word(OsString),
    Key(Key),
    /// `--enter`.
    Enter,
}

/// What the enter key sends.
const ENTER: u8 = b'\r';

impl TypedItems {
    /// Whether neither words nor keys were given.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|item| matches!(item, Item::Enter))
    }

    /// Whether enter is to be pressed.
    pub(crate) fn has_enter(&self) -> bool {
        self.0.iter().any(|item| matches!(item, Item::Enter))
    }

    /// Whether what they are sent as depends on the modes of keys.
    pub(crate) fn has_modes(&self) -> bool {
        self.0.iter().any(|item| matches!(item, Item::Key(key) if key.has_modes()))
    }

    /// The bytes; `paste` is what each run of words is pasted with, if it is to be. Spaces stand
    /// between words, and nothing beside keys.
    pub(crate) fn encode(&self, modes: KeyModes, paste: Option<&Paste>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let is_word = |item: &Item| matches!(item, Item::Word(_));
        for run in self.0.chunk_by(|left, right| is_word(left) && is_word(right)) {
            let words = run.iter().filter_map(|item| match item {
                Item::Word(word) => Some(word.as_bytes()),
                Item::Key(key) => {
                    key.encode(modes, &mut bytes);
                    None
                }
                Item::Enter => {
                    bytes.push(ENTER);
                    None
                }
            });
            let words = words.collect::<Vec<_>>();
            if words.is_empty() {
                continue;
            }
            let text = words.join(&b' ');
            match paste.cloned() {
                None => bytes.extend_from_slice(&text),
                Some(mut paste) => {
                    paste.push(&text, &mut bytes);
                    paste.finish(&mut bytes);
                }
            }
        }
        bytes
    }
}

impl FromArgMatches for TypedItems {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let words = matches.get_many::<OsString>("text").into_iter().flatten();
        let words = words.map(|word| Item::Word(word.clone()));
        let keys = matches.get_many::<Key>("key").into_iter().flatten();
        let keys = keys.map(|key| Item::Key(*key));
        let places = |name| matches.indices_of(name).into_iter().flatten();
        let words = places("text").zip(words);
        let mut items = words.chain(places("key").zip(keys)).collect::<Vec<_>>();
        items.sort_by_key(|(place, _)| *place);
        if matches.get_flag("enter") {
            let place = matches.index_of("enter").unwrap_or_default();
            let before = items.iter().filter(|(other, _)| *other < place).count();
            // Given before everything it says how everything ends.
            let at = if before == 0 { items.len() } else { before };
            items.insert(at, (place, Item::Enter));
        }
        Ok(Self(items.into_iter().map(|(_, item)| item).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for TypedItems {
    fn augment_args(command: Command) -> Command {
        let text = Arg::new("text")
            .value_name("TEXT")
            .help("What to type")
            .num_args(0..)
            .value_parser(clap::value_parser!(OsString));
        let key = Arg::new("key")
            .long("key")
            .value_name("NAME")
            .help("Press a key: ctrl-c, up, f5, alt-x, shift-tab (repeatable)")
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .value_parser(parse_key);
        let enter = Arg::new("enter")
            .long("enter")
            .help("Press enter: here, or after it all if it is given first")
            .action(ArgAction::SetTrue);
        command.arg(text).arg(key).arg(enter)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(arguments: &[&str]) -> TypedItems {
        let command = TypedItems::augment_args(Command::new("send").no_binary_name(true));
        TypedItems::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    #[test]
    fn words_and_keys_keep_the_order_of_the_command_line() {
        let bytes = |arguments: &[&str]| items(arguments).encode(KeyModes::default(), None);
        assert_eq!(bytes(&["a", "b"]), b"a b");
        assert_eq!(bytes(&["--key", "up", "a", "b", "--key=enter", "c"]), b"\x1b[Aa b\rc");
        assert_eq!(bytes(&["a", "--key", "-", "--key", "tab"]), b"a-\t");
        assert_eq!(bytes(&["a", "--enter", "--key", "tab"]), b"a\r\t");
        assert_eq!(bytes(&["--enter", "a", "b"]), b"a b\r");
        assert_eq!(bytes(&["a", "b", "--enter"]), b"a b\r");
        assert!(items(&[]).is_empty() && !items(&["--key", "a"]).is_empty());
    }

    #[test]
    fn words_are_pasted_and_keys_are_pressed() {
        let items = items(&["a\nb", "c", "--key", "left", "d"]);
        let modes = KeyModes { application_cursor: true, ..KeyModes::default() };
        assert!(items.has_modes());
        let bytes = items.encode(modes, Some(&Paste::new(true)));
        assert_eq!(bytes, b"\x1b[200~a\rb c\x1b[201~\x1bOD\x1b[200~d\x1b[201~");
    }
}

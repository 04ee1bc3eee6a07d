//! Text between people and the program: what they write, and what is shown to them.

pub(crate) mod child_env;
pub(crate) mod duration;
pub(crate) mod escape;
pub(crate) mod moment;
pub(crate) mod output_matcher;
pub(crate) mod plain_text;
pub(crate) mod quantiles;
pub(crate) mod signal_name;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod window_size;

//! `taut completions`: a script that teaches a shell to complete what is typed after `taut`.

use clap::{Args, CommandFactory, ValueHint};
use clap_complete::{Shell, generate};

use super::super::{
    arguments::Arguments,
    context::write_output,
    failure::{Outcome, exit_code},
};

/// Print a script that completes commands, options and sessions
///
/// Sessions are those of the daemon that runs, in bash, zsh and fish; none is started to ask.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:\n  \
                  taut completions bash > ~/.local/share/bash-completion/completions/taut\n  \
                  taut completions zsh > ~/.zfunc/_taut      with ~/.zfunc in fpath\n  \
                  taut completions fish > ~/.config/fish/completions/taut.fish"
)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn perform(arguments: &CompletionsArguments) -> Outcome {
    write_output(script(arguments.shell))?;
    Ok(exit_code::SUCCESS)
}

/// Where a command takes the name of a session that is there: its argument.
const SESSION_PLACES: [(&str, &str); 16] = [
    ("attach", "name"),
    ("send", "name"),
    ("status", "names"),
    ("screen", "name"),
    ("logs", "names"),
    ("wait", "name"),
    ("detach", "name"),
    ("resize", "name"),
    ("signal", "name"),
    ("rename", "old"),
    ("stop", "names"),
    ("kill", "names"),
    ("restart", "names"),
    ("rm", "names"),
    ("stats", "name"),
    ("new", "name"),
];

/// Asks the daemon; silent when there is none.
const ASK: &str = "taut ls -q 2>/dev/null";

/// What bash does after the generated function: where a session may stand, sessions. `PLACES` is
/// replaced by the commands that take one.
const BASH: &str = r#"
_taut_with_sessions() {
    local at command="" names where=()
    for (( at = 1; at < COMP_CWORD; at++ )); do
        case "${COMP_WORDS[at]}" in
            -S|--socket|-L) where=("${COMP_WORDS[at]}" "${COMP_WORDS[++at]}") ;;
            --config|--daemon) (( at++ )) ;;
            -*) ;;
            *) command="${COMP_WORDS[at]}"; break ;;
        esac
    done
    # With nothing typed it offers options wherever a session may stand, and where the value of an
    # option does, that.
    _taut "$1" "" "$3"
    local offered=" ${COMPREPLY[*]} "
    _taut "$@"
    [[ "$2" != -* && "$offered" == *" --help "* ]] || return 0
    case "$command" in
        PLACES)
            names="$(taut "${where[@]}" ls -q 2>/dev/null)"
            COMPREPLY=( $(compgen -W "${names}" -- "$2") )
            ;;
    esac
}

complete -F _taut_with_sessions -o bashdefault -o default taut
"#;

/// What zsh asks where the generated script would ask for users: the hint stands for sessions.
const ZSH: &str = r#"
(( $+functions[_taut_sessions] )) ||
_taut_sessions() {
    local -a names
    names=(${(f)"$(taut ls -q 2>/dev/null)"})
    compadd -a names
}

"#;

fn script(shell: Shell) -> String {
    let mut command = Arguments::command().mut_subcommands(|command| {
        let place = SESSION_PLACES.iter().find(|(name, _)| *name == command.get_name());
        command.mut_args(|argument| match place {
            // A hint that no other argument has, so that it can be found again in the script.
            Some((_, place)) if argument.get_id() == *place => {
                argument.value_hint(ValueHint::Username)
            }
            _ => argument,
        })
    });
    let mut script = Vec::new();
    generate(shell, &mut command, "taut", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => script + &BASH.replace("PLACES", &session_commands(&command).join("|")),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + &fish(&command),
        _ => script,
    }
}

fn zsh(script: &str) -> String {
    let script = script.replace(":_users'", ":_taut_sessions'");
    // The functions are defined before the first use, which is at the end.
    match script.rfind("if [ \"$funcstack[1]\"") {
        Some(end) => format!("{}{ZSH}{}", &script[..end].trim_end(), &script[end..]),
        None => script,
    }
}

fn fish(command: &clap::Command) -> String {
    let line = |name: &&str| {
        format!("complete -c taut -n \"__fish_taut_using_subcommand {name}\" -f -a \"({ASK})\"\n")
    };
    session_commands(command).iter().map(line).collect()
}

/// The commands that take a session, by each of their names.
fn session_commands(command: &clap::Command) -> Vec<&str> {
    let takes_one = |command: &&clap::Command| {
        SESSION_PLACES.iter().any(|(name, _)| *name == command.get_name())
    };
    let commands = command.get_subcommands().filter(takes_one);
    commands.flat_map(clap::Command::get_name_and_visible_aliases).collect()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_command_and_alias_is_in_every_script() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for command in Arguments::command().get_subcommands() {
                for name in command.get_name_and_visible_aliases() {
                    let is_end = |letter: char| !letter.is_alphanumeric() && letter != '-';
                    let is_there = script.split(is_end).any(|word| word == name);
                    assert!(is_there, "{shell}: {name}");
                }
            }
        }
    }

    #[test]
    fn sessions_are_asked_for_where_they_are_named() {
        let fish = script(Shell::Fish);
        let zsh = script(Shell::Zsh);
        assert!(
            fish.contains("__fish_taut_using_subcommand a\" -f -a \"(taut ls -q 2>/dev/null)\"")
        );
        assert!(zsh.contains("_taut_sessions() {") && !zsh.contains("_users"));
        let places = SESSION_PLACES.iter().map(|(name, argument)| {
            let command = Arguments::command();
            let command = command.find_subcommand(name).unwrap().clone();
            assert!(command.get_arguments().any(|it| it.get_id() == *argument), "{name}");
            1 + command.get_visible_aliases().count()
        });
        assert_eq!(zsh.matches(":_taut_sessions'").count(), places.sum::<usize>());
        assert!(zsh.contains(ASK));
        assert!(script(Shell::Bash).contains("        attach|a|new|send|status|"));
    }
}

//! What every command is told: where the daemon is, and how to speak.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Instant,
};

use super::{
    arguments::{DaemonPolicy, GlobalArguments},
    config::Config,
    daemon,
    failure::{Failure, exit_code},
    text::{child_env::Variables, escape::escaped},
};
use crate::{
    Client, ClientConfig, default_socket_path,
    protocol::{Purpose, is_session_name},
    trace::FrameTrace,
    transport::socket_path_for,
};

/// How often a daemon is started for one command.
const STARTS_MAX: u32 = 3;

/// What every command is told.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The daemon's socket, absolute.
    pub(crate) socket: PathBuf,
    /// Who chose it, if it is not the default: what `taut config show` says.
    pub(crate) socket_source: Option<&'static str>,
    /// What is configured.
    pub(crate) config: Config,
    /// The configuration file that the command line names.
    pub(crate) config_flag: Option<PathBuf>,
    /// Say it in JSON.
    pub(crate) is_json: bool,
    /// Say only what was asked for.
    pub(crate) is_quiet: bool,
    /// Say more.
    pub(crate) is_verbose: bool,
    policy: DaemonPolicy,
    own_session: Option<String>,
    trace: OnceLock<FrameTrace>,
}

impl Context {
    /// From the command line, the environment and, if it is wanted, the configuration.
    pub(crate) fn new(arguments: &GlobalArguments, is_configured: bool) -> Result<Self, Failure> {
        let config = match is_configured {
            true => Config::load(arguments.config.as_deref())?,
            false => Config::default(),
        };
        let from_env = env::var_os("TAUT_SOCKET").filter(|path| !path.is_empty());
        let configured = config.settings.socket.clone();
        let (socket, socket_source) = match (&arguments.socket, &arguments.daemon_name) {
            (Some(socket), _) => (socket.clone(), Some("command_line")),
            (None, Some(name)) => {
                (socket_path_for(name).map_err(Failure::usage)?, Some("command_line"))
            }
            (None, None) => match from_env.clone() {
                Some(path) => (PathBuf::from(path), Some("environment")),
                None => (configured.unwrap_or_else(default_socket_path), None),
            },
        };
        // A daemon we start runs in another directory.
        let socket = std::path::absolute(&socket)
            .map_err(|error| Failure::system("find the current directory", &error))?;
        let is_own = from_env.is_some_and(|own| Path::new(&own) == socket);
        let own_session = env::var("TAUT_SESSION").ok().filter(|name| is_own && !name.is_empty());
        Ok(Self {
            socket,
            socket_source,
            config,
            config_flag: arguments.config.clone(),
            is_json: arguments.json,
            is_quiet: arguments.quiet,
            is_verbose: arguments.verbose > 0,
            policy: arguments.daemon,
            own_session,
            trace: OnceLock::new(),
        })
    }

    /// The session we are in, if it is one of the daemon we talk to.
    pub(crate) fn own_session(&self) -> Option<&str> {
        self.own_session.as_deref()
    }

    /// The name given, that of the session we are in, or that of the only one there is.
    pub(crate) async fn name_or_usual(
        &self,
        client: &Client,
        name: Option<String>,
    ) -> Result<String, Failure> {
        match name.or_else(|| self.own_session.clone()) {
            Some(name) => check_name(name),
            None => only_session(client).await,
        }
    }

    /// Connects to the daemon, to stay: a connection that is lost is made again. Starts no daemon,
    /// now or then.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.socket, self.staying_config()?).await?)
    }

    /// Connects to look after the daemon or its sessions, not to use one: there is room for that
    /// also where there is none for another client.
    pub(crate) async fn administer(&self) -> Result<Client, Failure> {
        let config = ClientConfig { purpose: Purpose::Admin, ..self.client_config()? };
        Ok(Client::connect(&self.socket, config).await?)
    }

    /// How we are as a client that asks and goes.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, Failure> {
        Ok(ClientConfig { reconnect: None, ..self.staying_config()? })
    }

    /// How we are as a client that stays.
    fn staying_config(&self) -> Result<ClientConfig, Failure> {
        Ok(ClientConfig { trace: self.trace()?, ..ClientConfig::default() })
    }

    /// Where frames are recorded: the file that TAUT_TRACE names, opened when it is first needed.
    pub(crate) fn trace(&self) -> Result<Option<FrameTrace>, Failure> {
        let Some(path) = env::var_os("TAUT_TRACE").filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        if self.trace.get().is_none() {
            let trace = FrameTrace::open(path)?;
            // Only this thread opens it.
            self.trace.set(trace).ok();
        }
        Ok(self.trace.get().cloned())
    }

    /// Says so if a trace ended before we did.
    pub(crate) fn report_trace_end(&self) {
        if let Some(end) = self.trace.get().and_then(FrameTrace::end) {
            write_error(&format!("taut: {}\n", escaped(end.to_string().as_bytes())));
        }
    }

    /// Connects to the daemon, and starts one if none runs and that is allowed.
    pub(crate) async fn connect_or_start(&self) -> Result<Client, Failure> {
        if self.policy != DaemonPolicy::Auto {
            return self.connect().await;
        }
        let deadline = Instant::now() + daemon::LEAVING_LIMIT;
        // One that ends when nobody uses it may do so before we reach it.
        let mut starts_left = STARTS_MAX;
        loop {
            match self.connect().await {
                Err(failure) if failure.is_no_daemon() && starts_left > 0 => {
                    starts_left -= 1;
                    let config = self.config.path.as_deref().filter(|_| self.config.is_named);
                    if daemon::start(&self.socket, config)? && self.is_verbose {
                        self.note(&format!("started a daemon at {}", self.socket.display()));
                    }
                }
                // It was killed or shut down this very moment; then it is replaced.
                Err(failure) if failure.is_leaving() && Instant::now() < deadline => {
                    tokio::time::sleep(daemon::LEAVING_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    /// Something worth knowing, for people only.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet {
            write_error(&format!("{}\n", escaped(text.as_bytes())));
        }
    }

    /// Says why something failed.
    pub(crate) fn report(&self, what: &str, failure: &Failure) {
        let is_coloured = is_coloured(&io::stderr());
        write_error(&failure.show(what, self.is_json, is_coloured));
    }
}

/// Checks a name before it is sent: what is no name is a matter of usage.
pub(crate) fn check_name(name: String) -> Result<String, Failure> {
    if is_session_name(name.as_bytes()) {
        return Ok(name);
    }
    let rule = "a name has 1 to 64 of A-Z a-z 0-9 . _ - and begins with none of . -";
    Err(Failure::new(exit_code::USAGE, "invalid_name", format!("\"{name}\" is no name: {rule}")))
}

/// The session that is meant where none is named.
pub(crate) async fn only_session(client: &Client) -> Result<String, Failure> {
    let mut names = client.sessions().await?;
    match names.len() {
        0 => Err(Failure::new(exit_code::NO_SESSION, "no_such_session", "there are no sessions")
            .with_hint("taut alone makes one")),
        1 => Ok(names.remove(0)),
        _ => Err(Failure::usage(format!("which session? There are {}", names.join(", ")))),
    }
}

/// Whether to use colour there.
pub(crate) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value: OsString| !value.is_empty());
    stream.is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|it| it != "dumb")
}

/// Our own environment.
pub(crate) fn own_variables() -> Variables {
    env::vars_os().collect()
}

/// Writes what was asked for to standard output.
pub(crate) fn write_output(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let written = output.write_all(bytes.as_ref()).and_then(|()| output.flush());
    written.map_err(|error| Failure::output(&error))
}

/// Writes a JSON document to standard output.
pub(crate) fn write_json(value: &serde_json::Value) -> Result<(), Failure> {
    write_output(format!("{value:#}\n"))
}

/// Writes to standard error; if that is closed, nobody is left to be told.
pub(crate) fn write_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

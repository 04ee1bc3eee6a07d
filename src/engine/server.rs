//! The engine as an embedder sees it: bind, open sessions, serve.

use std::{
    ffi::OsString,
    future::Future,
    io,
    ops::Deref,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Instant,
};

use tautline_protocol::{CloseReason, RestartPolicy, SizePolicy, WindowSize, is_session_name};
use tokio::runtime::{Builder, Runtime};

use super::{ConfigError, Engine, ServerConfig, accept, recipe::Recipe, session_host::SessionHost};
use crate::{
    state::SessionTerms,
    transport::{
        BindError, MemoryConnector, MemoryListener, UnixTransportListener, memory_transport,
        state_directory,
    },
};

/// An engine that is bound and not yet serving.
///
/// It owns its thread: [`serve`](Self::serve) can be awaited from any runtime, and nothing else of
/// the host process is touched: no signal handlers, no umask, no other children.
#[derive(Debug)]
pub struct Server {
    engine: Arc<Engine>,
    runtime: OwnRuntime,
    listener: Option<UnixTransportListener>,
    memory: (MemoryConnector, MemoryListener),
}

/// Why nothing serves; see each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The socket could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is no directory for the lock; set `lock_directory`.
    #[error(transparent)]
    LockDirectory(#[from] crate::transport::SocketPathError),
    /// The system has no thread or event queue left.
    #[error("start the engine's thread")]
    Thread(#[source] io::Error),
}

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not a name a session can have.
    #[error("a session's name has 1 to 64 of A-Z a-z 0-9 . _ - and begins with none of . -")]
    Name,
    /// A session has that name already, or the engine refused otherwise.
    #[error("{0}")]
    Refused(String),
}

/// What to run in a session of the embedder's own making.
///
/// The environment is the embedder's, as it is now, with the changes made here.
#[derive(Clone, Debug)]
pub struct Command {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    restart: RestartPolicy,
}

impl Command {
    /// A program, looked up in `PATH` unless it has a slash.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            argv: vec![program.into()],
            env: Vec::new(),
            cwd: None,
            restart: RestartPolicy::Never,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The directory to start in; the home directory if none is set.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// What happens when it ends: nothing, unless set. It is started again after 100 ms, then after
    /// twice as long each time, a minute at most.
    #[must_use]
    pub const fn restart(mut self, policy: RestartPolicy) -> Self {
        self.restart = policy;
        self
    }

    fn into_recipe(self) -> Recipe {
        let mut env = Vec::new();
        let inherited = std::env::vars_os()
            .filter(|(name, _)| !self.env.iter().any(|(changed, _)| changed == name));
        for (name, value) in inherited.chain(self.env.iter().cloned()) {
            env.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        }
        let mut argv = Vec::new();
        for arg in &self.argv {
            argv.extend([arg.as_bytes(), b"\0"].concat());
        }
        let cwd = self.cwd.map_or_else(Vec::new, |cwd| cwd.into_os_string().into_vec());
        Recipe { argv, env, cwd, is_clean: false, is_raw: false, is_login: false }
    }
}

impl Server {
    /// Binds the socket at `path`; nobody is served before [`serve`](Self::serve).
    ///
    /// # Errors
    ///
    /// See [`ServeError`]; a daemon that runs there already is not disturbed.
    pub fn bind(path: impl AsRef<Path>, config: ServerConfig) -> Result<Self, ServeError> {
        config.check()?;
        let lock_directory = match &config.lock_directory {
            Some(directory) => directory.clone(),
            None => state_directory()?,
        };
        let runtime = own_runtime()?;
        let path = path.as_ref();
        let guard = runtime.enter();
        let listener = UnixTransportListener::bind(path, &lock_directory)?;
        drop(guard);
        Ok(Self::assemble(config, runtime, Some(listener), Some(path.into())))
    }

    /// An engine without a socket: only clients of this process, through
    /// [`connector`](Self::connector).
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    pub fn in_process(config: ServerConfig) -> Result<Self, ServeError> {
        config.check()?;
        Ok(Self::assemble(config, own_runtime()?, None, None))
    }

    fn assemble(
        config: ServerConfig,
        runtime: OwnRuntime,
        listener: Option<UnixTransportListener>,
        socket: Option<PathBuf>,
    ) -> Self {
        let engine = Arc::new(Engine::new(config, socket));
        Self { engine, runtime, listener, memory: memory_transport() }
    }

    /// Connects clients of this process without a socket.
    pub fn connector(&self) -> MemoryConnector {
        self.memory.0.clone()
    }

    /// Starts a child in a session of its own, before or without any client.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; nothing is left behind.
    pub fn open_session(
        &mut self,
        name: &str,
        command: Command,
        size: WindowSize,
    ) -> Result<(), OpenError> {
        if !is_session_name(name.as_bytes()) {
            return Err(OpenError::Name);
        }
        if self.engine.session(name).is_ok() {
            return Err(OpenError::Refused(format!("there is a session named {name} already")));
        }
        let terms = SessionTerms {
            log_size: self.engine.config.log_size,
            input_window: self.engine.config.input_window,
            size,
            size_policy: SizePolicy::Latest,
            is_ephemeral: false,
            restart: command.restart,
        };
        let _guard = self.runtime.enter();
        let host = SessionHost::start(&self.engine, name.into(), command.into_recipe(), terms);
        let host = host.map_err(|failure| OpenError::Refused(failure.text.into_owned()))?;
        self.engine.add_session(host);
        Ok(())
    }

    /// Serves until `shutdown` resolves, a client asks for it, or nobody used it for as long as
    /// `idle_exit` says; then tells every client, hangs up every child, removes the socket, and
    /// returns.
    ///
    /// An engine that ends because nobody uses it shuts its socket first and looks once more:
    /// whoever connected in the last moment is served, and whoever comes later finds no socket.
    /// Clients of this process that connect through a [`connector`](Self::connector) in that moment
    /// may be turned away instead if there is a socket too.
    ///
    /// # Errors
    ///
    /// If the engine's thread cannot be started.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future shuts the engine down as well, without waiting for it.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { engine, runtime, listener, memory } = self;
        let stopper = StopOnDrop(Arc::clone(&engine));
        let (finished, mut is_finished) = tokio::sync::oneshot::channel();
        let serving = Arc::clone(&engine);
        let thread = thread::Builder::new().name("taut-engine".into()).spawn(move || {
            runtime.block_on(run(serving, listener, memory.1));
            // The children that would not end were killed; nothing blocks the runtime's end.
            drop(runtime);
            finished.send(()).ok();
        });
        thread.map_err(ServeError::Thread)?;
        tokio::select! {
            _ = &mut is_finished => return Ok(()),
            () = shutdown => {}
        }
        drop(stopper);
        is_finished.await.ok();
        drop(memory.0);
        Ok(())
    }
}

struct StopOnDrop(Arc<Engine>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

fn own_runtime() -> Result<OwnRuntime, ServeError> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    Ok(OwnRuntime(Some(runtime.map_err(ServeError::Thread)?)))
}

/// A runtime that may be dropped anywhere, also inside another one, where tokio's own panics.
#[derive(Debug)]
struct OwnRuntime(Option<Runtime>);

impl Deref for OwnRuntime {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("it is only taken when dropped")
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The engine's life: accept, wait for the order to stop, drain.
async fn run(engine: Arc<Engine>, listener: Option<UnixTransportListener>, memory: MemoryListener) {
    match listener {
        Some(listener) => {
            let inside = tokio::spawn(accept::run(Arc::clone(&engine), memory));
            // The socket is removed when the loop ends: nobody new is let in while we drain.
            accept::run_until_idle(Arc::clone(&engine), listener).await;
            inside.abort();
        }
        None => accept::run_until_idle(Arc::clone(&engine), memory).await,
    }
    drain(&engine).await;
}

/// Tells every client, hangs up every child, and kills what is left at the deadline.
async fn drain(engine: &Arc<Engine>) {
    let deadline = Instant::now() + engine.config.shutdown_grace * 2;
    let grace = engine.config.shutdown_grace;
    engine.close_clients(CloseReason::ShuttingDown);
    let hosts = engine.sessions().into_iter();
    let stops: Vec<_> = hosts.map(|host| (host.ask_to_stop(libc::SIGHUP, grace), host)).collect();
    let all_stopped = async {
        for (epoch, host) in stops {
            host.stopped(epoch).await;
        }
        while !engine.clients.lock().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout_at(deadline.into(), all_stopped).await.ok();
}

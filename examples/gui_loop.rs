//! A GUI's loop without a window: 60 frames a second, and nothing in it waits for a child.
//!
//! `cargo run --example gui_loop` hosts a shell in this process, types into it, pastes more than
//! it takes at once, draws what it prints, and ends with it.

use std::{
    collections::VecDeque,
    error::Error,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, bounded};
use tautline::{
    AttachOptions, ClientConfig, Command, Event, Server, ServerConfig, blocking,
    protocol::WindowSize, transport::MemoryConnector,
};
use tokio::{runtime::Builder, sync::oneshot};

const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// Output taken in one frame; what is left is for the next one.
const FRAME_BUDGET: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut server = Server::in_process(ServerConfig::default())?;
    server.open_session("shell", Command::new("sh"), WindowSize::cells(80, 24))?;
    let engine = server.connector();
    let (stop, stopped) = oneshot::channel();
    let serving = thread::spawn(move || {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(server.serve(async { stopped.await.unwrap_or(()) }))
    });

    let mut gui = Gui::open(&engine)?;
    while !gui.is_over {
        gui.wait_for_frame();
        let begun = Instant::now();
        gui.send_typed(&script(gui.frames))?;
        gui.take_events()?;
        gui.draw();
        gui.longest = gui.longest.max(begun.elapsed());
    }
    println!(
        "{} frames, the longest took {:?}; {} wakes, {} bytes typed, {} bytes of output",
        gui.frames, gui.longest, gui.wakes, gui.typed_bytes, gui.output_bytes
    );
    stop.send(()).ok();
    Ok(serving.join().expect("the engine does not panic")?)
}

/// What somebody types, by frame.
fn script(frame: u32) -> String {
    match frame {
        10 => "echo hello\r".into(),
        20 => "seq 1 50000\r".into(),
        // More than the input window: it takes several frames.
        40 => format!("cat >/dev/null\r{}\x04", "a line of a long paste\r".repeat(10_000)),
        41 => "exit\r".into(),
        _ => String::new(),
    }
}

struct Gui {
    input: blocking::Input,
    events: blocking::Events,
    /// The event queue; a real one carries keys and clicks too.
    queue: Receiver<()>,
    next_frame: Instant,
    /// There may be events in the channel.
    is_woken: bool,
    is_over: bool,
    /// Typed, and not taken yet.
    typed: Vec<u8>,
    screen: Screen,
    frames: u32,
    longest: Duration,
    wakes: u32,
    typed_bytes: usize,
    output_bytes: usize,
}

impl Gui {
    fn open(engine: &MemoryConnector) -> Result<Self, Box<dyn Error>> {
        let client = blocking::Client::connect_in_process(engine, ClientConfig::default())?;
        let (post, queue) = bounded(1);
        // A wake that is still in the queue is as good as another one.
        let waker = move || {
            post.try_send(()).ok();
        };
        let (input, events) = client.attach("shell", &AttachOptions::default(), waker)?;
        Ok(Self {
            input,
            events,
            queue,
            next_frame: Instant::now(),
            is_woken: true,
            is_over: false,
            typed: Vec::new(),
            screen: Screen::default(),
            frames: 0,
            longest: Duration::ZERO,
            wakes: 0,
            typed_bytes: 0,
            output_bytes: 0,
        })
    }

    /// Sleeps until the next frame is due, as a GUI does, taking what is posted meanwhile.
    fn wait_for_frame(&mut self) {
        while self.queue.recv_deadline(self.next_frame).is_ok() {
            self.is_woken = true;
            self.wakes += 1;
        }
        self.next_frame = Instant::now().max(self.next_frame + FRAME);
        self.frames += 1;
    }

    /// Sends what is taken, and keeps the rest for a later frame.
    fn send_typed(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        self.typed.extend_from_slice(text.as_bytes());
        let taken = self.input.try_send(&self.typed)?;
        self.typed.drain(..taken);
        self.typed_bytes += taken;
        Ok(())
    }

    /// Takes events until there are none, or the frame has enough.
    fn take_events(&mut self) -> Result<(), Box<dyn Error>> {
        let mut budget = FRAME_BUDGET;
        while self.is_woken && budget > 0 {
            let Ok(delivered) = self.events.try_recv() else {
                self.is_woken = false; // empty: the waker tells of the next one
                break;
            };
            match delivered?.event() {
                Event::Output { bytes, .. } => {
                    self.screen.print(bytes);
                    self.output_bytes += bytes.len();
                    budget = budget.saturating_sub(bytes.len());
                }
                Event::Gap { from, to } => {
                    self.screen.print(format!("\n[{} bytes lost]\n", to - from).as_bytes());
                }
                Event::Exited { .. } | Event::Detached { .. } => self.is_over = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn draw(&mut self) {
        if std::mem::take(&mut self.screen.is_changed) {
            println!("--- frame {}", self.frames);
            self.screen.lines.iter().for_each(|line| println!("| {}", line.trim_end()));
        }
    }
}

/// The last lines that were printed; no terminal.
#[derive(Default)]
struct Screen {
    lines: VecDeque<String>,
    is_changed: bool,
}

impl Screen {
    const HEIGHT: usize = 4;

    fn print(&mut self, bytes: &[u8]) {
        self.is_changed = true;
        for piece in String::from_utf8_lossy(bytes).split_inclusive('\n') {
            if self.lines.back().is_none_or(|last| last.ends_with('\n')) {
                self.lines.push_back(String::new());
                let excess = self.lines.len().saturating_sub(Self::HEIGHT);
                self.lines.drain(..excess);
            }
            self.lines.back_mut().expect("one was pushed").push_str(piece);
        }
    }
}

//! The terminal: taken, given back whatever happens, and written to in whole frames.
//!
//! What crossterm and ratatui leave open is done here: synchronized updates, a panic hook that gives everything
//! back and only for the thread that draws, suspending with SIGSTOP, NO_COLOR without losing bold and reversed.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use parking_lot::Mutex;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::app::App;
use super::view;

/// A frame in which nothing changed is shorter: resets, and where the cursor is.
const IDLE_BYTES: usize = 64;

/// Whether the terminal is the console's now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What panicked in a task beside the one that draws.
static PANICKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Collects a frame, so that it is written in one piece, and not at all when nothing changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames(Arc<Mutex<Frame>>);

#[derive(Debug, Default)]
struct Frame {
    collected: Vec<u8>,
    last: Vec<u8>,
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().collected.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Pieces of a frame stay until `present`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Frames {
    /// Writes the frame. One that only puts the cursor where it is anyway is left out.
    fn present(&self, out: &mut impl Write) -> io::Result<()> {
        let mut own = self.0.lock();
        let frame = std::mem::take(&mut own.collected);
        let idle = frame.len() < IDLE_BYTES && frame == own.last;
        if !idle && !frame.is_empty() {
            let mut whole = Vec::with_capacity(frame.len() + 16);
            queue!(whole, BeginSynchronizedUpdate)?;
            whole.extend_from_slice(&frame);
            queue!(whole, EndSynchronizedUpdate)?;
            out.write_all(&whole)?;
            out.flush()?;
        }
        own.last = frame;
        Ok(())
    }
}

/// The terminal while the console has it.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Frames>>,
    frames: Frames,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn take(mouse: bool) -> io::Result<Self> {
        // The theme decides about colours; crossterm's own NO_COLOR would erase bold and reversed too.
        crossterm::style::force_color_output(true);
        let frames = Frames::default();
        let mut own = Self {
            terminal: Terminal::new(CrosstermBackend::new(frames.clone()))?,
            frames,
            mouse,
        };
        own.enter()?;
        Ok(own)
    }

    fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            cursor::Hide
        )?;
        if self.mouse {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        self.terminal.clear()
    }

    /// Draws the console; writes only what changed.
    pub(crate) fn draw(&mut self, app: &App) -> io::Result<()> {
        self.terminal.draw(|frame| view::draw(app, frame))?;
        self.frames.present(&mut io::stdout())
    }

    /// Everything is written again at the next draw.
    pub(crate) fn redraw(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    pub(crate) fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on {
            execute!(io::stdout(), EnableMouseCapture)
        } else {
            execute!(io::stdout(), DisableMouseCapture)
        }
    }

    /// To the clipboard of whoever looks at the terminal, by OSC 52.
    pub(crate) fn copy(text: &str) -> io::Result<()> {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        let mut out = io::stdout();
        write!(out, "\x1b]52;c;{text}\x07")?;
        out.flush()
    }

    /// Gives the terminal to something else while that runs, and takes it again.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing may go on while the terminal is not there"
    )]
    pub(crate) fn lend<R>(&mut self, other: impl FnOnce() -> R) -> io::Result<R> {
        give_back();
        let answer = other();
        let mut tries = 0;
        while let Err(error) = self.enter() {
            tries += 1;
            if tries == 10 {
                return Err(error);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(answer)
    }

    /// Stops the process group until the shell lets it go on. Not SIGTSTP: a process group without a shell above
    /// it would ignore that and leave a torn terminal.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        self.lend(|| {
            let _ = rustix::process::kill_current_process_group(rustix::process::Signal::STOP);
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives everything back that was taken; once.
pub(crate) fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        io::stdout(),
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// From now on a panic of the thread that draws gives the terminal back before it is reported; one of any other
/// is kept for a message, since the console goes on.
pub(crate) fn guard_panics() {
    let drawing: ThreadId = std::thread::current().id();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == drawing {
            give_back();
            usual(info);
        } else {
            PANICKED.lock().push(info.to_string().replace('\n', " "));
        }
    }));
}

/// What panicked in the background since the last call.
pub(crate) fn panicked() -> Vec<String> {
    std::mem::take(&mut *PANICKED.lock())
}

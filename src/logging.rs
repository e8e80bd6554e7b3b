//! The log, on standard error. Logging never blocks and never fails: a thread writes the lines; if standard error is
//! closed, full or too slow, lines are dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

/// Lines waiting to be written: a few megabytes at most.
const QUEUE_CAPACITY: usize = 8_192;
const LOG_DRAIN: Duration = Duration::from_secs(1);

enum Line {
    Text(Vec<u8>),
    Flush(SyncSender<()>),
}

#[derive(Clone)]
struct Lines {
    sender: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

/// On drop, waits up to a second for the last lines.
pub struct Logging(Lines);

pub fn start(filter: &str, format: LogFormat) -> Logging {
    let lines = Lines::new(io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(lines.clone())
        // It would write its own errors to standard error, and panic if that is closed.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%panic, %backtrace, "panic");
    }));
    Logging(lines)
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.flush();
    }
}

impl Lines {
    fn new(writer: impl Write + Send + 'static) -> Self {
        let (sender, lines) = sync_channel(QUEUE_CAPACITY);
        let lost = Arc::new(AtomicU64::new(0));
        let reported = Arc::clone(&lost);
        std::thread::spawn(move || write_all(writer, &lines, &reported));
        Self { sender, lost }
    }

    fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("messagehub_log_lines_lost_total").increment(1);
    }

    fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        if self.sender.try_send(Line::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(LOG_DRAIN);
        }
    }
}

fn write_all(mut writer: impl Write, lines: &Receiver<Line>, lost: &AtomicU64) {
    while let Ok(line) = lines.recv() {
        match line {
            Line::Text(text) => {
                let missing = lost.swap(0, Ordering::Relaxed);
                let reported = match missing {
                    0 => Ok(()),
                    missing => writeln!(writer, "{missing} lines of the log were lost here"),
                };
                if reported.and_then(|()| writer.write_all(&text)).is_err() {
                    lost.fetch_add(missing + 1, Ordering::Relaxed);
                }
            }
            Line::Flush(done) => {
                let _ = writer.flush();
                let _ = done.send(());
            }
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// One call writes one line.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.sender.try_send(Line::Text(line.to_vec())).is_err() {
            self.count_lost();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Blocked(std::sync::mpsc::Receiver<()>, Shared);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn flushed_lines_are_in_order() {
        let written = Shared::default();
        let lines = Lines::new(written.clone());
        for line in ["one\n", "two\n"] {
            (&lines).write_all(line.as_bytes()).unwrap();
        }
        lines.flush();
        assert_eq!(*written.0.lock().unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn blocked_log_blocks_nobody_and_reports_lost_lines() {
        let (go, resume) = std::sync::mpsc::channel();
        let written = Shared::default();
        let lines = Lines::new(Blocked(resume, written.clone()));
        let began = Instant::now();
        for _ in 0..2 * QUEUE_CAPACITY {
            (&lines).write_all(b"line\n").unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(go);
        // The next line that fits is preceded by the number of lost lines.
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            (&lines).write_all(b"line\n").unwrap();
            lines.flush();
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            if text.contains("lines of the log were lost here\n") {
                break;
            }
            assert!(Instant::now() < until, "{text}");
        }
    }

    #[test]
    fn closed_log_is_no_error() {
        let lines = Lines::new(Broken);
        for _ in 0..10 {
            (&lines).write_all(b"line\n").unwrap();
        }
        lines.flush();
        assert_eq!(lines.lost.load(Ordering::Relaxed), 10);
    }
}

//! What a connection has to send. A frame is written to the network by the task that has it, without waking the
//! connection's task: one system call per socket. Only what the network does not take waits here until the task can write it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;
use tokio::sync::Notify;

pub(super) const NOT_POISONED: &str = "no thread panics while holding the lock";

/// Frames that wait per connection.
const QUEUE: usize = 64;

#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    /// Wakes the connection's task: frames wait, or frames were lost.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// `None` until the handshake is over, and after the end.
    stream: Option<Arc<TcpStream>>,
    waiting: VecDeque<Bytes>,
    /// The first one of them is the rest of a frame.
    is_cut: bool,
    /// Frames were lost: nothing more is sent before the frame `resync`.
    is_behind: bool,
    /// A command is being obeyed: frames wait for its answer.
    is_held: bool,
    is_closed: bool,
}

impl State {
    fn send(&mut self, frame: &Bytes) {
        let stream = self.stream.as_ref();
        let stream = stream.filter(|_| self.waiting.is_empty() && !self.is_held);
        let written = match stream.map(|stream| stream.try_write(frame)) {
            Some(Ok(written)) if written == frame.len() => return,
            Some(Ok(written)) => written,
            // The task finds out about a broken connection.
            Some(Err(_)) | None => 0,
        };
        if written > 0 {
            self.is_cut = true;
        }
        self.waiting.push_back(frame.slice(written..));
    }

    /// Writes what the network takes. Returns how many frames that were.
    fn flush(&mut self) -> io::Result<usize> {
        let Some(stream) = self.stream.as_ref().filter(|_| !self.is_held) else {
            return Ok(0);
        };
        let mut count = 0;
        while let Some(frame) = self.waiting.front_mut() {
            match stream.try_write(frame) {
                Ok(written) if written == frame.len() => {
                    self.waiting.pop_front();
                    self.is_cut = false;
                    count += 1;
                }
                Ok(written) => {
                    frame.advance(written);
                    self.is_cut = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                Err(error) => return Err(error),
            }
        }
        // A connection that is not behind needs no memory for its queue.
        self.waiting.shrink_to_fit();
        Ok(count)
    }
}

impl Outbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NOT_POISONED)
    }

    /// Never blocks. After a full queue, frames are dropped until `resync` was sent.
    pub fn push(&self, frame: &Bytes) {
        let mut state = self.state();
        if state.is_behind || state.is_closed {
            return;
        }
        if state.waiting.len() >= QUEUE {
            state.is_behind = true;
            return;
        }
        state.send(frame);
        if !state.waiting.is_empty() && !state.is_held {
            self.changed.notify_one();
        }
    }

    /// From now on frames wait: the answer to a command comes before what happened meanwhile.
    pub fn hold(&self) {
        self.state().is_held = true;
    }

    /// Ends `hold`.
    pub fn release(&self, answer: Option<Bytes>) -> io::Result<usize> {
        let mut state = self.state();
        state.is_held = false;
        let first = usize::from(state.is_cut);
        if let Some(answer) = answer {
            state.waiting.insert(first, answer);
        }
        state.flush()
    }

    /// Sends what the client asked for or the protocol requires, also to a client that is behind. The caller reads no
    /// more from the client while frames wait, so they are few.
    pub fn answer(&self, frame: &Bytes) {
        self.state().send(frame);
    }

    /// Drops frames until the task has sent `resync`.
    pub fn fall_behind(&self) {
        self.state().is_behind = true;
        self.changed.notify_one();
    }

    /// Whether frames were lost since the last call. False while frames wait.
    pub fn caught_up(&self) -> bool {
        let mut state = self.state();
        state.waiting.is_empty() && std::mem::take(&mut state.is_behind)
    }

    pub fn is_waiting(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Returns when frames wait or were lost. Cancel safe.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Writes what the network takes. Returns how many frames that were.
    pub fn flush(&self) -> io::Result<usize> {
        self.state().flush()
    }

    /// Sends from now on. Frames may wait already.
    pub fn open(&self, stream: Arc<TcpStream>) {
        self.state().stream = Some(stream);
        self.changed.notify_one();
    }

    /// Drops what waits, except for the rest of a frame, and takes no more but answers.
    pub fn close(&self) {
        let mut state = self.state();
        let rest = usize::from(state.is_cut);
        state.waiting.truncate(rest);
        state.is_closed = true;
    }

    /// Ends sending.
    pub fn take_stream(&self) -> Option<Arc<TcpStream>> {
        self.state().stream.take()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::wire;
    use super::*;

    async fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).await.expect("a connection");
        let (server, _) = listener.accept().await.expect("a connection");
        server.writable().await.expect("it is open");
        (Arc::new(server), client)
    }

    async fn flush(outbox: &Outbox, stream: &TcpStream) {
        while outbox.is_waiting() {
            stream.writable().await.expect("it is open");
            outbox.flush().expect("it is open");
        }
    }

    #[tokio::test]
    async fn frames_wait_whole_and_in_order_until_there_are_too_many() {
        let (ours, mut theirs) = pair().await;
        let outbox = Outbox::default();
        let early = wire::text("before the handshake is over");
        outbox.push(&early);
        outbox.open(Arc::clone(&ours));
        flush(&outbox, &ours).await;
        let frame = wire::text(&"x".repeat(100_000));
        let mut sent = 0;
        while !outbox.is_waiting() {
            outbox.push(&frame);
            sent += 1;
        }
        (0..2 * QUEUE).for_each(|_| outbox.push(&frame));
        sent += QUEUE - 1;
        assert!(!outbox.caught_up(), "frames wait");
        let last = wire::text("an answer");
        outbox.answer(&last);

        let mut expected = early.to_vec();
        (0..sent).for_each(|_| expected.extend_from_slice(&frame));
        expected.extend_from_slice(&last);
        let mut read = vec![0; expected.len()];
        let (all, ()) = tokio::join!(theirs.read_exact(&mut read), flush(&outbox, &ours));
        all.expect("everything arrives");
        assert!(read == expected, "no frame gets into another one");
        assert!(outbox.caught_up(), "the rest was lost");
        assert!(!outbox.caught_up());
    }

    #[tokio::test]
    async fn answer_comes_before_what_happened_while_its_command_was_obeyed() {
        let (ours, mut theirs) = pair().await;
        let outbox = Outbox::default();
        outbox.open(ours);
        let [before, during, answer] = ["before", "during", "answer"].map(wire::text);
        outbox.push(&before);
        outbox.hold();
        outbox.push(&during);
        assert_eq!(outbox.flush().expect("it is open"), 0);
        let written = outbox.release(Some(answer.clone()));
        assert_eq!(written.expect("it is open"), 2);
        let expected = [before, answer, during].concat();
        let mut read = vec![0; expected.len()];
        theirs.read_exact(&mut read).await.expect("it arrives");
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn nothing_follows_the_end_but_the_rest_of_a_frame() {
        let (ours, mut theirs) = pair().await;
        let outbox = Outbox::default();
        outbox.open(Arc::clone(&ours));
        let frame = wire::text(&"x".repeat(100_000));
        let mut sent = 0;
        while !outbox.is_waiting() {
            outbox.push(&frame);
            sent += 1;
        }
        outbox.push(&frame);
        outbox.close();
        outbox.push(&frame);
        let goodbye = wire::text("goodbye");
        outbox.answer(&goodbye);
        let (all, ()) = tokio::join!(
            async {
                let mut read = Vec::new();
                theirs.read_to_end(&mut read).await.expect("it is open");
                read
            },
            async {
                flush(&outbox, &ours).await;
                drop(outbox.take_stream());
                drop(ours);
            }
        );
        let rest = all.len() - goodbye.len();
        assert!(rest == sent * frame.len() || rest == (sent - 1) * frame.len());
        assert!(all.ends_with(&goodbye));
    }
}

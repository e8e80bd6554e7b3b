//! A TCP proxy that delays every byte, as the network between a server and a database elsewhere does.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// A thread sleeps this much longer than it is asked to.
const OVERSLEEP: Duration = Duration::from_micros(60);

/// Adds `round_trip` to each round trip, half of it in each direction. Runs until the process ends, in threads, because
/// tokio's timers are exact to a millisecond only.
pub fn start(target: SocketAddr, round_trip: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let delay = (round_trip / 2).saturating_sub(OVERSLEEP);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(target).unwrap();
            pipe(&client, &server, delay);
            pipe(&server, &client, delay);
        }
    });
    address
}

/// One direction: what is read is written after the delay. More is read meanwhile.
fn pipe(from: &TcpStream, to: &TcpStream, delay: Duration) {
    to.set_nodelay(true).unwrap();
    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || read(from, &sender, delay));
    std::thread::spawn(move || write(to, &receiver));
}

fn read(mut from: TcpStream, sender: &Sender<(Instant, Vec<u8>)>, delay: Duration) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let due = Instant::now() + delay;
        if sender.send((due, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}

fn write(mut to: TcpStream, receiver: &Receiver<(Instant, Vec<u8>)>) {
    for (due, bytes) in receiver {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

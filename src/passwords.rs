//! Password hashes (Argon2id), a few at a time for all requests.
//!
//! One hash takes 19 MiB of memory and about 30 ms of CPU, so requests must not start them at will. A fixed number of
//! threads computes them, each with its own reused memory. Waiting requests are queued by network and the networks take
//! turns: a thousand sign-ins from one network delay another by one hash. A full queue rejects with `Busy`.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

/// More threads would take the cores that requests need.
const MAX_THREADS: usize = 4;
/// Maximum waiting hashes, overall and per network: some seconds of work, enough for an office that signs in at nine.
const QUEUE_CAPACITY: usize = 256;
const CAPACITY_PER_NETWORK: usize = 64;
const RETRY_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, PartialEq, Eq)]
pub struct Busy {
    pub wait: Duration,
}

const BUSY: Busy = Busy { wait: RETRY_AFTER };

/// Computes and verifies password hashes. The threads end when the last handle is dropped.
#[derive(Clone)]
pub struct Passwords(Arc<Pool>);

struct Pool {
    queue: Arc<Queue>,
    hashes_computed: Arc<AtomicU64>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(cores.clamp(1, MAX_THREADS))
    }
}

impl Passwords {
    fn with_threads(threads: usize) -> Self {
        let queue = Arc::new(Queue::default());
        for n in 0..threads {
            let queue = Arc::clone(&queue);
            let started = std::thread::Builder::new()
                .name(format!("passwords-{n}"))
                .spawn(move || {
                    let mut memory = Vec::new();
                    while let Some(job) = queue.take() {
                        // A panic must not end the thread. It drops the result channel, and the waiting request gets
                        // `Busy`.
                        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
                    }
                });
            started.expect("threads can be spawned at startup");
        }
        Self(Arc::new(Pool {
            queue,
            hashes_computed: Arc::default(),
        }))
    }

    pub async fn hash(&self, network: &str, password: SecretString) -> Result<String, Busy> {
        self.run(network, move |memory| hash(&password, memory))
            .await
    }

    /// Verifies `password`. Without a hash (no such account) it takes as long and returns false.
    pub async fn verify(
        &self,
        network: &str,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, Busy> {
        self.run(network, move |memory| match hash {
            Some(hash) => verify_hash(&password, &hash, memory),
            None => {
                std::hint::black_box(compute(&Argon2::default(), &password, &[0; 16], memory));
                false
            }
        })
        .await
    }

    pub fn hashes_computed(&self) -> u64 {
        self.0.hashes_computed.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        network: &str,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (done, result) = oneshot::channel();
        let hashes_computed = Arc::clone(&self.0.hashes_computed);
        let job = Box::new(move |memory: &mut Vec<Block>| {
            // The request was cancelled: skip its hash.
            if !done.is_closed() {
                hashes_computed.fetch_add(1, Ordering::Relaxed);
                let _ = done.send(work(memory));
            }
        });
        if !self.0.queue.add(network, job) {
            metrics::counter!("messagehub_passwords_busy_total").increment(1);
            return Err(BUSY);
        }
        // The job was evicted, or its thread panicked.
        result.await.map_err(|_| BUSY)
    }
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    added: Condvar,
}

#[derive(Default)]
struct Waiting {
    by_network: HashMap<String, VecDeque<Job>>,
    turns: VecDeque<String>,
    count: usize,
    closed: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the job was queued. In a full queue it evicts the newest job of a network that has more jobs waiting.
    fn add(&self, network: &str, job: Job) -> bool {
        let mut waiting = self.waiting();
        let own = waiting.by_network.get(network).map_or(0, VecDeque::len);
        if own >= CAPACITY_PER_NETWORK || (waiting.count >= QUEUE_CAPACITY && !waiting.evict(own)) {
            return false;
        }
        if own == 0 {
            waiting.turns.push_back(network.to_owned());
        }
        let jobs = waiting.by_network.entry(network.to_owned()).or_default();
        jobs.push_back(job);
        waiting.count += 1;
        drop(waiting);
        self.added.notify_one();
        true
    }

    /// Blocks for the next job; `None` once the queue is closed.
    fn take(&self) -> Option<Job> {
        let mut waiting = self.waiting();
        loop {
            if let Some(job) = waiting.next() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self
                .added
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.waiting().closed = true;
        self.added.notify_all();
    }
}

impl Waiting {
    fn next(&mut self) -> Option<Job> {
        let network = self.turns.pop_front()?;
        let jobs = self.by_network.get_mut(&network)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.by_network.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        self.count -= usize::from(job.is_some());
        job
    }

    /// Evicts a job of the network with the most, unless `own` is about as many.
    fn evict(&mut self, own: usize) -> bool {
        let most = self.by_network.values_mut().max_by_key(|jobs| jobs.len());
        let Some(jobs) = most.filter(|jobs| jobs.len() > own + 1) else {
            return false;
        };
        jobs.pop_back();
        self.count -= 1;
        true
    }
}

/// For the command line and the demo workspace, outside of requests.
pub fn hash_offline(password: &SecretString) -> String {
    hash(password, &mut Vec::new())
}

pub fn verify_offline(password: &SecretString, hash: &str) -> bool {
    verify_hash(password, hash, &mut Vec::new())
}

fn hash(password: &SecretString, memory: &mut Vec<Block>) -> String {
    let (argon, salt) = (Argon2::default(), rand::random::<[u8; 16]>());
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::default().into()),
        params: ParamsString::try_from(argon.params()).expect("the default parameters are valid"),
        salt: Some(Salt::new(&salt).expect("16 bytes are a valid salt")),
        hash: compute(&argon, password, &salt, memory),
    };
    hash.to_string()
}

fn verify_hash(password: &SecretString, hash: &str, memory: &mut Vec<Block>) -> bool {
    let mut check = || {
        let known = PasswordHash::new(hash).ok()?;
        let argon = Argon2::new(
            Algorithm::try_from(known.algorithm.as_str()).ok()?,
            Version::try_from(known.version?).ok()?,
            Params::try_from(&known).ok()?,
        );
        // `Output` compares in constant time.
        Some(compute(&argon, password, &known.salt?, memory)? == known.hash?)
    };
    check().unwrap_or(false)
}

fn compute(
    argon: &Argon2<'_>,
    password: &SecretString,
    salt: &[u8],
    memory: &mut Vec<Block>,
) -> Option<Output> {
    let blocks = argon.params().block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    let length = argon
        .params()
        .output_len()
        .unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let mut bytes = [0; Output::MAX_LENGTH];
    let bytes = bytes.get_mut(..length)?;
    argon
        .hash_password_into_with_memory(
            password.expose_secret().as_bytes(),
            salt,
            bytes,
            &mut memory[..blocks],
        )
        .ok()?;
    Output::new(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use argon2::{PasswordHasher, PasswordVerifier};

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn hashes_are_compatible_with_the_crate() {
        let passwords = Passwords::with_threads(2);
        let ours = passwords.hash("a", secret("correct horse")).await.unwrap();
        assert!(
            ours.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{ours}"
        );
        let verified = Argon2::default().verify_password(b"correct horse", ours.as_str());
        assert!(verified.is_ok());
        let theirs: PasswordHash = Argon2::default().hash_password(b"battery staple").unwrap();
        let theirs = theirs.to_string();
        for (password, hash, right) in [
            ("correct horse", Some(ours.clone()), true),
            ("correct horsé", Some(ours), false),
            ("battery staple", Some(theirs.clone()), true),
            ("", Some(theirs), false),
            ("correct horse", Some("no hash".into()), false),
            ("correct horse", None, false),
        ] {
            let found = passwords.verify("a", secret(password), hash.clone()).await;
            assert_eq!(found, Ok(right), "{password} {hash:?}");
        }
        assert_eq!(passwords.hashes_computed(), 7);
    }

    /// A pool whose only thread blocks until the sender is dropped.
    fn blocked_pool() -> (Passwords, mpsc::Sender<()>) {
        let passwords = Passwords::with_threads(1);
        let (release, held) = mpsc::channel::<()>();
        let job = Box::new(move |_: &mut Vec<Block>| {
            let _ = held.recv();
        });
        assert!(passwords.0.queue.add("first", job));
        while passwords.0.queue.waiting().count > 0 {
            std::thread::yield_now();
        }
        (passwords, release)
    }

    #[test]
    fn networks_alternate() {
        let (passwords, release) = blocked_pool();
        let (done, order) = mpsc::channel();
        let queue = &passwords.0.queue;
        for (n, network) in ["a", "a", "a", "b", "c", "b"].into_iter().enumerate() {
            let done = done.clone();
            let job = Box::new(move |_: &mut Vec<Block>| done.send((network, n)).unwrap());
            assert!(queue.add(network, job));
        }
        drop((done, release));
        let order: Vec<_> = order.iter().collect();
        assert_eq!(
            order,
            [("a", 0), ("b", 3), ("c", 4), ("a", 1), ("b", 5), ("a", 2)]
        );
    }

    #[test]
    fn network_has_a_share_and_yields_when_full() {
        let (passwords, _go_on) = blocked_pool();
        let queue = &passwords.0.queue;
        let nothing = || Box::new(|_: &mut Vec<Block>| {});
        let fits = |network: &str| {
            (0..QUEUE_CAPACITY)
                .take_while(|_| queue.add(network, nothing()))
                .count()
        };
        for network in ["a", "b", "c", "d"] {
            assert_eq!(fits(network), CAPACITY_PER_NETWORK, "{network}");
        }
        assert_eq!(queue.waiting().count, QUEUE_CAPACITY);
        // Four networks have 64 jobs each; a fifth evicts until all five have about the same.
        let fifth = fits("e");
        assert!(
            (QUEUE_CAPACITY / 5 - 1..=QUEUE_CAPACITY / 5 + 1).contains(&fifth),
            "{fifth}"
        );
        assert_eq!(queue.waiting().count, QUEUE_CAPACITY);
        assert!(
            !queue.add("a", nothing()),
            "the network with the most jobs evicts none"
        );
    }

    #[tokio::test]
    async fn rejected_request_is_busy_and_cancelled_one_is_free() {
        let (passwords, release) = blocked_pool();
        let wants = |network: &'static str| {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.hash(network, secret("correct horse")).await })
        };
        let waiting: Vec<_> = (0..CAPACITY_PER_NETWORK).map(|_| wants("a")).collect();
        while passwords.0.queue.waiting().count < CAPACITY_PER_NETWORK {
            tokio::task::yield_now().await;
        }
        assert_eq!(wants("a").await.unwrap(), Err(BUSY));
        for answer in waiting {
            answer.abort(); // the client disconnects
            assert!(answer.await.unwrap_err().is_cancelled());
        }
        drop(release);
        assert!(passwords.hash("b", secret("correct horse")).await.is_ok());
        assert_eq!(passwords.hashes_computed(), 1);
    }

    #[tokio::test]
    async fn panic_fails_one_request_only() {
        let passwords = Passwords::with_threads(1);
        let failed: Result<(), _> = passwords.run("a", |_| panic!("on purpose")).await;
        assert_eq!(failed, Err(BUSY));
        assert!(passwords.hash("a", secret("correct horse")).await.is_ok());
    }
}

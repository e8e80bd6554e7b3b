//! The rate limit of client commands: a token bucket per connection.

use std::time::Instant;

/// Burst size, and commands per second in the long run.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 20.0;

#[derive(Debug)]
pub struct Allowance {
    left: f64,
    at: Instant,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: BURST,
            at: Instant::now(),
        }
    }
}

impl Allowance {
    /// Takes one token; false if the bucket is empty.
    pub fn take(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND;
        self.left = (self.left + gained).min(BURST);
        self.at = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn burst_then_fixed_rate() {
        let mut allowance = Allowance::default();
        let began = allowance.at;
        let taken = (0..1_000).filter(|_| allowance.take(began)).count();
        assert_eq!(taken, 200);
        let later = began + Duration::from_secs(1);
        assert_eq!((0..1_000).filter(|_| allowance.take(later)).count(), 20);
        let much_later = began + Duration::from_secs(3_600);
        let taken = (0..1_000).filter(|_| allowance.take(much_later));
        assert_eq!(taken.count(), 200);
    }
}

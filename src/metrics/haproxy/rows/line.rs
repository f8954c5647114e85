//! Lines of a batch, whoever has read them.

use tailmeter_parsers::haproxy::{Http, Sketch};

/// What every line of a batch counts for.
pub(in crate::metrics::haproxy) trait Line {
    fn raw_names(&self) -> &[u8];
    fn status_code(&self) -> i16;
    fn method_key(&self) -> (u32, u64);
    fn bytes_read(&self) -> u64;
    fn timers_ms(&self) -> [i32; 5];
    fn retries(&self) -> u32;
    fn queues(&self) -> [u32; 2];
    fn redispatched(&self) -> bool;
    fn logasap(&self) -> bool;
    fn ended_normally(&self) -> bool;
}

impl Line for Http<'_> {
    #[inline(always)]
    fn raw_names(&self) -> &[u8] {
        self.raw_names()
    }

    #[inline(always)]
    fn status_code(&self) -> i16 {
        self.status_code
    }

    #[inline(always)]
    fn method_key(&self) -> (u32, u64) {
        self.method_key()
    }

    #[inline(always)]
    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    #[inline(always)]
    fn timers_ms(&self) -> [i32; 5] {
        self.timers_ms
    }

    #[inline(always)]
    fn retries(&self) -> u32 {
        self.retries
    }

    #[inline(always)]
    fn queues(&self) -> [u32; 2] {
        self.queues
    }

    #[inline(always)]
    fn redispatched(&self) -> bool {
        self.redispatched
    }

    #[inline(always)]
    fn logasap(&self) -> bool {
        self.logasap
    }

    #[inline(always)]
    fn ended_normally(&self) -> bool {
        self.ended_normally
    }
}

impl Line for Sketch<'_> {
    #[inline(always)]
    fn raw_names(&self) -> &[u8] {
        self.raw_names()
    }

    #[inline(always)]
    fn status_code(&self) -> i16 {
        self.status_code()
    }

    #[inline(always)]
    fn method_key(&self) -> (u32, u64) {
        self.method_key()
    }

    #[inline(always)]
    fn bytes_read(&self) -> u64 {
        self.bytes_read()
    }

    #[inline(always)]
    fn timers_ms(&self) -> [i32; 5] {
        self.timers_ms()
    }

    #[inline(always)]
    fn retries(&self) -> u32 {
        self.retries()
    }

    #[inline(always)]
    fn queues(&self) -> [u32; 2] {
        self.queues()
    }

    #[inline(always)]
    fn redispatched(&self) -> bool {
        self.redispatched()
    }

    // What was written before the end has no sketch.
    #[inline(always)]
    fn logasap(&self) -> bool {
        false
    }

    #[inline(always)]
    fn ended_normally(&self) -> bool {
        self.ended_normally()
    }
}

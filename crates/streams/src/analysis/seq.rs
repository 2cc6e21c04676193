//! Sequence numbers: they wrap around, so that "before" is what is less than half their space away (RFC 9293, 3.4).

/// Whether `a` is before `b`.
#[inline]
pub(super) fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Whether `a` is behind `b`.
#[inline]
pub(super) fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// The one that is further on.
#[inline]
pub(super) fn later(a: u32, b: u32) -> u32 {
    if before(a, b) { b } else { a }
}

/// The one that is further back.
#[inline]
pub(super) fn earlier(a: u32, b: u32) -> u32 {
    if before(a, b) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_goes_on_over_the_wrap_around() {
        assert!(before(u32::MAX, 0) && after(5, u32::MAX - 5) && !before(7, 7) && !after(7, 7));
        assert_eq!((later(u32::MAX, 3), earlier(u32::MAX, 3)), (3, u32::MAX));
    }
}

//! [`Fit`]: which of the free networks an allocation takes.

/// Which of the free networks of the length asked for an allocation takes.
///
/// Every fit finds a network whenever one is free; they differ in which, and in what stays whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The one with the lowest address. The fastest.
    Lowest,
    /// The one with the highest address.
    Highest,
    /// The first one of the smallest maximal free block that holds it, the lowest block of that
    /// size: large blocks stay whole as long as a smaller one will do.
    ///
    /// The search looks at every part of the pool with a free block that is large enough, until
    /// one fits exactly; the other fits take time by the prefix length alone.
    Best,
    /// The first one of the largest maximal free block, the lowest block of that size.
    ///
    /// So successive allocations halve the space between their neighbours, like the leftmost bits
    /// of RFC 3531: in a /16 they come at 0, 1/2, 1/4, 3/4, 1/8, ... Each has the rest of its
    /// block behind it, and can grow in place until the space is needed.
    Sparse,
    /// Network number `n` modulo the number of networks of that length in the pool, or else the
    /// next free one behind it, starting over at the end.
    ///
    /// With a hash of a stable name as `n`, an allocation keeps its place when others come and go.
    Near(u64),
}

//! Events that come twice, in another order, while something runs, or never.

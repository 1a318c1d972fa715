//! Golden vectors and properties of the format.

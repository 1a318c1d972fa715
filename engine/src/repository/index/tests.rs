//! The cache under hostile conditions.

//! httpapi

//! stub
#[derive(Clone)]
pub struct Manifest;

//! stub
pub mod datetime;
mod json_view;
pub mod literal;
mod macros;
mod template;
pub mod yaml;
#[derive(Clone)]
pub struct Manifest;

//! `tidegate connector …` as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum ConnectorCommand {
    /// Start a connector folder: it validates at once, and its comments say what to fill in. Asks nothing.
    New(NewConnectorArgs),
}

#[derive(Debug, Args)]
pub struct NewConnectorArgs {
    /// The provider's key: small letters, digits, - and _. The folder is called so.
    pub name: String,
    /// How requests prove who asks.
    #[arg(long, value_enum, default_value_t = AuthFamily::Bearer)]
    pub auth: AuthFamily,
    /// How the provider hands over more than one page.
    #[arg(long, value_enum, default_value_t = PagingFamily::Page)]
    pub paging: PagingFamily,
    /// The address that all paths lie below.
    #[arg(long, value_name = "URL", default_value = "https://api.example.com/v1")]
    pub url: String,
    /// The first stream.
    #[arg(long, value_name = "STREAM", default_value = "contacts")]
    pub stream: String,
    /// Field with the time of a record's last change: reads only what changed since the last run.
    #[arg(long, value_name = "FIELD")]
    pub cursor: Option<String>,
    /// Where the folder is made; the first of connectors.dirs when not given.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Families of authenticators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthFamily {
    /// Nothing: the provider is open.
    None,
    /// A token in `Authorization: Bearer`.
    Bearer,
    /// A key in a header or a parameter.
    ApiKey,
    /// User and password.
    Basic,
    /// A token that is fetched with client id and secret.
    Oauth,
    /// A token that a login request gives.
    Session,
    /// A token that we sign.
    Jwt,
}

/// Families of paging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PagingFamily {
    /// One answer holds everything.
    None,
    /// Page 1, page 2, …
    Page,
    /// Skip so many records.
    Offset,
    /// Each answer holds a token for the next page.
    Cursor,
    /// Each answer holds the next page's address.
    NextUrl,
    /// The `Link` header names the next page's address.
    LinkHeader,
}

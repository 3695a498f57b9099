//! The pieces of a started manifest that differ by family: authenticators, paginators, options of the connection.
//!
//! Owns their text. Each is whole by itself and validates; the indentation is that of its place.

use crate::cli::args::{AuthFamily, PagingFamily};

/// Below `definitions.requester`.
pub const fn authenticator(family: AuthFamily) -> &'static str {
    match family {
        AuthFamily::None => "    authenticator: { type: NoAuth }\n",
        AuthFamily::Bearer => {
            "    # Sends `Authorization: Bearer KEY`.
    authenticator: { type: BearerAuthenticator, api_token: \"{{ config['api_key'] }}\" }
"
        }
        AuthFamily::ApiKey => {
            "    # Sends the key in a header; inject_into: request_parameter puts it into the address instead.
    authenticator:
      type: ApiKeyAuthenticator
      api_token: \"{{ config['api_key'] }}\"
      inject_into: { type: RequestOption, inject_into: header, field_name: X-Api-Key } # CHANGE: the header's name
"
        }
        AuthFamily::Basic => {
            "    # Some providers want the key as user name and no password: then leave `password` out.
    authenticator:
      type: BasicHttpAuthenticator
      username: \"{{ config['username'] }}\"
      password: \"{{ config['password'] }}\"
"
        }
        AuthFamily::Oauth => {
            "    # Fetches a token with client id and secret, and a new one before it runs out. Where a person allows the access in a
    # browser, use BearerAuthenticator instead, and `refresh_policy: oauth2` in the connection (docs/security.md).
    authenticator:
      type: OAuthAuthenticator
      token_refresh_endpoint: https://api.example.com/oauth/token # CHANGE
      grant_type: client_credentials
      client_id: \"{{ config['client_id'] }}\"
      client_secret: \"{{ config['client_secret'] }}\"
"
        }
        AuthFamily::Session => {
            "    # Logs in first, and sends the token that the login gives.
    authenticator:
      type: SessionTokenAuthenticator
      login_requester:
        type: HttpRequester
        url_base: URL
        path: login # CHANGE
        http_method: POST
        authenticator: { type: NoAuth }
        request_body_json: { username: \"{{ config['username'] }}\", password: \"{{ config['password'] | tojson }}\" } # tojson keeps a password of digits a text
      session_token_path: [token] # CHANGE: where the login's answer holds it
      expiration_duration: PT1H
      request_authentication: { type: Bearer }
"
        }
        AuthFamily::Jwt => {
            "    # Signs a short-lived token itself; nothing is fetched.
    authenticator:
      type: JwtAuthenticator
      algorithm: HS256 # CHANGE: as the documentation says, e.g. RS256 with a private key
      secret_key: \"{{ config['signing_key'] }}\"
      # Where the documentation gives a shared key in hexadecimal: x-tidegate: { secret_key_encoding: hex }
      token_duration: 240 # CHANGE: seconds, less than the documentation allows
      header_prefix: Bearer
      jwt_payload: { iss: \"{{ config['client_id'] }}\" } # CHANGE: iss, sub, aud; `jwt_headers: { kid: ... }` where a key has an id
"
        }
    }
}

/// Options that a connection gives, and which of them are required. Secrets come from its credential.
pub const fn options(family: AuthFamily) -> (&'static str, &'static str) {
    match family {
        AuthFamily::None => ("", ""),
        AuthFamily::Bearer | AuthFamily::ApiKey => (
            "api_key",
            "      # A secret never stands in a connection's `config`: it is named there as `credential: env:VARIABLE` or vault:KEY.
      api_key: { type: string, airbyte_secret: true }
",
        ),
        AuthFamily::Basic | AuthFamily::Session => (
            "username, password",
            "      username: { type: string }
      # A secret never stands in a connection's `config`: it is named there as `credential: env:VARIABLE` or vault:KEY.
      password: { type: string, airbyte_secret: true }
",
        ),
        AuthFamily::Oauth => (
            "client_id, client_secret",
            "      client_id: { type: string }
      # A secret never stands in a connection's `config`: it is named there as `credential: env:VARIABLE` or vault:KEY.
      client_secret: { type: string, airbyte_secret: true }
",
        ),
        AuthFamily::Jwt => (
            "client_id, signing_key",
            "      client_id: { type: string }
      # A secret never stands in a connection's `config`: it is named there as `credential: env:VARIABLE` or vault:KEY.
      signing_key: { type: string, airbyte_secret: true }
",
        ),
    }
}

/// Below the stream's retriever.
pub const fn paginator(family: PagingFamily) -> &'static str {
    match family {
        PagingFamily::None => "      paginator: { type: NoPagination }\n",
        PagingFamily::Page => {
            "      # ?page=1&per_page=100, ?page=2&… until a page has fewer records than were asked for.
      paginator:
        type: DefaultPaginator
        page_size_option: { type: RequestOption, inject_into: request_parameter, field_name: per_page } # CHANGE
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: page } # CHANGE
        pagination_strategy: { type: PageIncrement, start_from_page: 1, inject_on_first_request: true, page_size: 100 }
"
        }
        PagingFamily::Offset => {
            "      # ?offset=0&limit=100, ?offset=100&… until a page has fewer records than were asked for.
      paginator:
        type: DefaultPaginator
        page_size_option: { type: RequestOption, inject_into: request_parameter, field_name: limit } # CHANGE
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: offset } # CHANGE
        pagination_strategy: { type: OffsetIncrement, page_size: 100 }
"
        }
        PagingFamily::Cursor => {
            "      # Each answer holds a token for the next page: {\"data\": […], \"next_cursor\": \"abc\"}; none at the end.
      paginator:
        type: DefaultPaginator
        page_size_option: { type: RequestOption, inject_into: request_parameter, field_name: limit } # CHANGE
        page_token_option: { type: RequestOption, inject_into: request_parameter, field_name: cursor } # CHANGE
        pagination_strategy:
          type: CursorPagination
          page_size: 100
          cursor_value: \"{{ response.get('next_cursor') }}\" # CHANGE
          stop_condition: \"{{ not response.get('next_cursor') }}\" # CHANGE
"
        }
        PagingFamily::NextUrl => {
            "      # Each answer holds the next page's address: {\"data\": […], \"next\": \"https://…\"}; none at the end.
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestPath }
        pagination_strategy:
          type: CursorPagination
          cursor_value: \"{{ response.get('next') }}\" # CHANGE
          stop_condition: \"{{ not response.get('next') }}\" # CHANGE
"
        }
        PagingFamily::LinkHeader => {
            "      # Link: <https://…?page=2>; rel=\"next\"
      paginator:
        type: DefaultPaginator
        page_token_option: { type: RequestPath }
        pagination_strategy:
          type: CursorPagination
          cursor_value: \"{{ headers['link']['next']['url'] }}\"
          stop_condition: \"{{ 'next' not in headers['link'] }}\"
"
        }
    }
}

/// Below the stream, for one that is read by changes.
pub const CURSOR: &str = "    # Reads what changed since the last run. The format is how the provider writes CURSOR.
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: CURSOR
      datetime_format: \"%Y-%m-%dT%H:%M:%SZ\" # CHANGE
      start_datetime: \"{{ config['start_date'] }}\"
      # The parameter by which the provider gives only what changed since then. Where it has none, write
      # is_client_side_incremental: true instead: then all is read, and what is older is left out.
      start_time_option: { type: RequestOption, inject_into: request_parameter, field_name: updated_since } # CHANGE
";

/// Below the stream, for one that is read whole.
pub const NO_CURSOR: &str = "    # Each run reads all records. Where they tell when they last changed, read only those (docs/connectors.md, step 3):
    # incremental_sync: { type: DatetimeBasedCursor, … }
";

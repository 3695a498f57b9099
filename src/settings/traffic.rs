//! `[database.traffic]`: a second database for raw rows. The key is kept; the ability is not there yet, and saying so is
//! better than keeping raw rows in another place than the operator thinks.

use super::{key::Key, values::Values};

const URL: Key = Key::secret("database.traffic.url", "");
pub(super) const KEYS: &[Key] = &[URL];

pub(super) fn refuse(values: &mut Values) {
    if !values.text(&URL).trim().is_empty() {
        values.wrong(&URL, "a second database for raw rows is not available yet", "leave the key empty");
    }
}

//! SQLite has no users: who may write the file may do everything.

use async_trait::async_trait;

use super::store::Store;
use crate::store::{
    StoreError,
    rights::{Rights, RightsStore},
};

#[async_trait]
impl RightsStore for Store {
    async fn rights(&self) -> Result<Option<Rights>, StoreError> {
        Ok(None)
    }
}

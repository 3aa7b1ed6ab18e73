//! A bucket of an S3 server.

mod hashes;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, RetryConfig};

use hashes::AwsHashes;
use sandman_config::Bucket;
use transport::OpensslConnector;

/// Retries of one operation, within [`RETRY_TIME`]; our waiting client retries as well.
const RETRIES: usize = 3;
/// Below the 30 s that a request may take by default.
const RETRY_TIME: Duration = Duration::from_secs(15);

/// Opens the files below the prefix in the bucket; the connections belong to the runtime that uses it first. Nothing is
/// sent yet.
pub(super) fn open(bucket: &Bucket) -> object_store::Result<PrefixStore<AmazonS3>> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in &bucket.access {
        // Variables that only AWS's own clients know are ignored.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value.expose());
        }
    }
    let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = keys.iter().find_map(|key| builder.get_config_value(key));
    // An endpoint with http is intended; AWS's own clients need no further setting either.
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let store = builder
        .with_bucket_name(&bucket.name)
        .with_allow_http(plain)
        .with_http_connector(OpensslConnector)
        .with_crypto_provider(Arc::new(AwsHashes))
        // Files are removed one at a time, which every S3 server supports.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: RETRY_TIME,
        })
        .build()?;
    Ok(PrefixStore::new(store, bucket.prefix.as_str()))
}

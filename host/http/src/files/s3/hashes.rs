//! The hashes of AWS's signatures, with the same crates as all other hashes here.

use hmac::{Hmac, Mac};
use object_store::client::{CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm};
use object_store::{Error, Result};
use sha2::{Digest, Sha256};

/// SHA-256 and HMAC-SHA-256. RSA signatures are used only by other vendors.
#[derive(Debug)]
pub(super) struct AwsHashes;

#[derive(Default)]
struct RunningDigest {
    hash: Sha256,
    result: [u8; 32],
}

struct RunningHmac {
    hash: Hmac<Sha256>,
    result: [u8; 32],
}

impl CryptoProvider for AwsHashes {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(RunningDigest::default())),
            other => Err(unsupported(&format!("{other:?}"))),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => {
                let hash =
                    <Hmac<Sha256> as Mac>::new_from_slice(secret).map_err(|error| unsupported(&error.to_string()))?;
                Ok(Box::new(RunningHmac { hash, result: [0; 32] }))
            }
            other => Err(unsupported(&format!("{other:?}"))),
        }
    }

    fn sign(&self, algorithm: SigningAlgorithm, _: &[u8]) -> Result<Box<dyn Signer>> {
        Err(unsupported(&format!("{algorithm:?}")))
    }
}

impl DigestContext for RunningDigest {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.hash, data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.result = self.hash.finalize_reset().into();
        Ok(&self.result)
    }
}

impl HmacContext for RunningHmac {
    fn update(&mut self, data: &[u8]) {
        Mac::update(&mut self.hash, data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.result = self.hash.clone().finalize().into_bytes().into();
        Ok(&self.result)
    }
}

fn unsupported(what: &str) -> Error {
    Error::NotSupported {
        source: format!("{what} is not a hash of S3's signatures").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// FIPS 180-2, appendix B, and RFC 4231, test case 2.
    #[test]
    fn the_hashes_are_those_of_the_standards() {
        let mut digest = AwsHashes.digest(DigestAlgorithm::Sha256).expect("known");
        digest.update(b"a");
        digest.update(b"bc");
        assert_eq!(
            hex(digest.finish().expect("a digest")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let mut hmac = AwsHashes.hmac(DigestAlgorithm::Sha256, b"Jefe").expect("known");
        hmac.update(b"what do ya want ");
        hmac.update(b"for nothing?");
        assert_eq!(
            hex(hmac.finish().expect("a digest")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}

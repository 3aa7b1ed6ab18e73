//! Tokens: only JWTs signed with HS256 are accepted.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use hmac::{Hmac, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, decode};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::Sha256;

use super::refusal::HttpRefusal;
use sandman_config::Secret;

/// The only type of token that is accepted; a refresh token, for example, is not.
const TYPE: &str = "access";

const MISSING: HttpRefusal = HttpRefusal::Token("this needs a token: Authorization: Bearer …");
const INVALID: HttpRefusal = HttpRefusal::Token("the token is not valid");
const EXPIRED: HttpRefusal = HttpRefusal::Token("the token has expired");

/// Verifies tokens.
pub(super) struct Tokens {
    /// `None` if no secret is configured: then no token is valid.
    key: Option<DecodingKey>,
    validation: Validation,
}

/// The claims of a valid token, each with its original text: a guest sees every digit.
#[derive(Clone, Debug)]
pub(super) struct Claims(BTreeMap<String, Box<RawValue>>);

impl Claims {
    /// The claim, if it is text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// All of them, a JSON object as text.
    pub(super) fn to_json(&self) -> String {
        let members: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// The user of the token.
    pub(super) fn user(&self) -> Option<String> {
        self.text("userId").filter(|user| !user.is_empty())
    }
}

impl Tokens {
    pub(super) fn new(secret: Option<&Secret>) -> Self {
        // In tests, a second host in the process finds the same provider already installed.
        PROVIDER.install_default().ok();
        let mut validation = Validation::new(Algorithm::HS256);
        // As in DreamScape's current service: no leeway, and no audience is required.
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        Self {
            key: secret.map(|secret| DecodingKey::from_secret(secret.expose().as_bytes())),
            validation,
        }
    }

    /// The claims of the request's token; `None` if it has none.
    pub(super) fn sent(&self, headers: &HeaderMap) -> Result<Option<Claims>, HttpRefusal> {
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = sent.next() else {
            return Ok(None);
        };
        let text = value.to_str().ok().filter(|_| sent.next().is_none());
        match text.and_then(|text| text.split_once(' ')) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self.verify(token.trim()).map(Some),
            _ => Err(INVALID),
        }
    }

    /// Like [`Tokens::sent`], but a token is required.
    pub(super) fn needed(&self, headers: &HeaderMap) -> Result<Claims, HttpRefusal> {
        self.sent(headers)?.ok_or(MISSING)
    }

    fn verify(&self, token: &str) -> Result<Claims, HttpRefusal> {
        let key = self.key.as_ref().ok_or(INVALID)?;
        let decoded = decode::<BTreeMap<String, Box<RawValue>>>(token, key, &self.validation);
        let claims = match decoded {
            Ok(data) => Claims(data.claims),
            Err(error) => {
                return Err(match error.kind() {
                    ErrorKind::ExpiredSignature => EXPIRED,
                    _ => INVALID,
                });
            }
        };
        let good = claims.text("type").as_deref() == Some(TYPE) && claims.user().is_some();
        good.then_some(claims).ok_or(INVALID)
    }
}

/// All the cryptography that HS256 needs. The library's own providers also include RSA and elliptic curves.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// We sign nothing.
fn signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if *algorithm != Algorithm::HS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let secret = key.try_get_as_bytes()?;
    let mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(Hs256(mac)))
}

struct Hs256(Hmac<Sha256>);

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let mac = self.0.clone().chain_update(message);
        // Compares all 32 bytes in constant time.
        mac.verify_slice(signature).map_err(signature::Error::from_source)
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

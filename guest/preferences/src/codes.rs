//! Languages and currencies that there are.

/// ISO 639-1.
pub(crate) const LANGUAGES: &str = "\
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es \
    et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki \
    kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no \
    nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te \
    tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

/// ISO 4217, the currencies of a country or a union of them; also those withdrawn since 2020, which users may have chosen.
pub(crate) const CURRENCIES: &str = "\
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP \
    CNY COP CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG \
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD \
    MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF \
    SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU \
    UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ZWL";

/// Whether these are the two small letters of a language.
pub fn is_language(code: &str) -> bool {
    code.len() == 2 && LANGUAGES.split(' ').any(|language| language == code)
}

/// Whether these are the three capital letters of a currency.
pub fn is_currency(code: &str) -> bool {
    code.len() == 3 && CURRENCIES.split(' ').any(|currency| currency == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_hold_codes_only() {
        for (list, letters, is_code) in [
            (LANGUAGES, 2, is_language as fn(&str) -> bool),
            (CURRENCIES, 3, is_currency as fn(&str) -> bool),
        ] {
            let all: Vec<_> = list.split(' ').collect();
            assert!(all.is_sorted_by(|one, other| one < other));
            assert!(all.iter().all(|code| code.len() == letters && is_code(code)));
        }
        assert_eq!(LANGUAGES.split(' ').count(), 183);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for wrong in ["", "e", "EN", "eng", "xx", "en ", "aa ab"] {
            assert!(!is_language(wrong), "{wrong}");
        }
        for wrong in ["", "EU", "eur", "EURO", "ABC", "EU ", "AED AFN"] {
            assert!(!is_currency(wrong), "{wrong}");
        }
    }
}

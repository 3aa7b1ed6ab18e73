//! What values may look like, up to their limits.

use crate::rules;
use crate::rules::Ruled;

fn check(rule: fn(&str) -> Ruled, good: &[(&str, &str)], bad: &[&str]) {
    for (text, stored) in good {
        assert_eq!(rule(text).as_deref(), Ok(*stored), "{text:?}");
    }
    for text in bad {
        assert!(rule(text).is_err_and(|must| must.starts_with("must ")), "{text:?}");
    }
}

#[test]
fn names() {
    let longest = "é".repeat(rules::NAME);
    check(
        rules::name,
        &[
            ("Ada", "Ada"),
            (" Ada  King ", "Ada  King"),
            ("伊藤", "伊藤"),
            (&longest, &longest),
        ],
        &["", "  ", "A\nB", "A\0", &format!("{longest}e")],
    );
}

#[test]
fn addresses() {
    let longest = format!("{}@example.com", "a".repeat(rules::EMAIL - 12));
    check(
        rules::email,
        &[
            ("a@b.c", "a@b.c"),
            (" Ada+x@Mail.Example.com ", "Ada+x@Mail.Example.com"),
            (&longest, &longest),
        ],
        &[
            "",
            "ada",
            "@b.c",
            "a@",
            "a@b",
            "a@b.",
            "a@.c",
            "a@b..c",
            "a b@c.d",
            "a@b@c.d",
            "a@b.c\nx",
            &format!("a{longest}"),
        ],
    );
}

#[test]
fn phone_numbers() {
    check(
        rules::phone,
        &[
            ("+33612345678", "+33612345678"),
            ("+1 (212) 555-0100", "+12125550100"),
            ("[+44] 20.7946", "+44207946"),
            ("+123456789012345", "+123456789012345"),
            ("+12", "+12"),
        ],
        &[
            "",
            "+",
            "+1",
            "0612345678",
            "33612345678",
            "+0612345678",
            "+1234567890123456",
            "+33 6x",
            "++336",
            "+33+6",
            "+٣٣",
        ],
    );
}

#[test]
fn dates_of_birth() {
    check(
        rules::date,
        &[
            ("1815-12-10", "1815-12-10"),
            ("2024-02-29", "2024-02-29"),
            ("1815-12-10T00:00:00.000Z", "1815-12-10"),
            ("1815-12-10T23:59:59+02:00", "1815-12-10"),
            ("1815-12-10 00:00:00", "1815-12-10"),
        ],
        &[
            "",
            "2023-02-29",
            "2023-02-29T00:00:00Z",
            "10/12/1815",
            "1815-12-10T",
            "1815-12-10 or so",
            "1815-12-10T25:00:00Z",
            "1815-12-1",
            " 1815-12-10",
        ],
    );
}

#[test]
fn nationalities() {
    check(
        rules::nationality,
        &[("FR", "FR"), ("GB", "GB")],
        &["", "fr", "FRA", "ZZ", "French"],
    );
}

#[test]
fn pictures() {
    let longest = format!("/{}", "a".repeat(rules::URL - 1));
    check(
        rules::picture,
        &[
            ("/a.png", "/a.png"),
            ("https://x.y/a?b#c", "https://x.y/a?b#c"),
            ("http://x", "http://x"),
            (&longest, &longest),
        ],
        &[
            "",
            "a.png",
            "//evil.example/a.png",
            "https://",
            "https:///a",
            "http://?x",
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "ftp://x/a",
            "/a b",
            "/a\n",
            "/\\evil.example",
            &format!("{longest}a"),
        ],
    );
}

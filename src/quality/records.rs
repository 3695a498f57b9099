//! Rules about stored records: amounts, duplicates, labels, paid and organic, tests, the books.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    judged::{Judged, some},
    rules::Rule,
};
use crate::store::quality::{Books, CurrencyUse, LabelUse, LinkFit, PaidOrganic, SharedContacts};

/// Categories of providers whose activity is bought.
const BOUGHT: [&str; 2] = ["marketplace", "ads"];

/// Each amount has a currency of three capital letters, and a column has one for all its amounts: sums never mix them.
pub fn currency_unit(uses: &[CurrencyUse]) -> Judged {
    let mut what = Vec::new();
    let mut columns: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for CurrencyUse { table, column, currency, rows } in uses {
        match currency.as_deref() {
            None | Some("") => what.push(format!("{rows} amounts without a currency in {table}.{column}")),
            Some(code) if is_code(code) => {
                columns.entry((table, column)).or_default().insert(code);
            }
            Some(_) => what.push(format!("{rows} amounts with an unreadable currency in {table}.{column}")),
        }
    }
    for ((table, column), codes) in &columns {
        if codes.len() > 1 {
            let codes: Vec<&str> = codes.iter().copied().collect();
            what.push(format!("{table}.{column} mixes {}", codes.join(", ")));
        }
    }
    Judged::found(
        &what,
        format!("{} amount columns, one currency each", columns.len()),
        "each amount has one currency of three capital letters, each column one for all its amounts",
        "mend the field map's currency under a new version, then: tidegate normalize --replay; two currencies of one account need two connections",
    )
}

fn is_code(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

pub fn duplicate_records(fit: LinkFit) -> Judged {
    let what: Vec<String> = [
        some(fit.doubled, "live rows stand beside another row of the same object"),
        some(fit.rows_without_link, "live rows without an object link"),
        some(fit.links_without_row, "object links without a row"),
    ]
    .into_iter()
    .flatten()
    .collect();
    Judged::found(
        &what,
        "none",
        "one live row for each object and one object link for each row",
        "void what is doubled, then: tidegate normalize --replay --connection KEY",
    )
}

/// Two sources may know one person: counted, flagged, never merged (P16).
pub fn possible_duplicates(shared: SharedContacts, rule: &Rule) -> Judged {
    const EXPECTED: &str = "few people known to two of the client's sources";
    let observed = format!("{} phone numbers and {} e-mail addresses under two labels", shared.phones, shared.emails);
    if shared.phones.max(shared.emails) <= rule.count("max") {
        return Judged::passed(observed, EXPECTED);
    }
    Judged::failed(observed, EXPECTED, "nothing is merged; say in the client's note that each source counts for itself")
}

pub fn source_label(uses: &[LabelUse]) -> Judged {
    let what: Vec<String> = uses
        .iter()
        .flat_map(|LabelUse { table, empty, other }| {
            [
                some(*empty, &format!("rows without a source label in {table}")),
                some(*other, &format!("rows with another label than the connection's in {table}")),
            ]
        })
        .flatten()
        .collect();
    Judged::found(
        &what,
        "none",
        "each row has the connection's source label",
        "a label stands for a source: declare the old one again, or a connection of its own for the new one",
    )
}

/// A marketplace's or an ad's lead is bought, whatever a field says.
pub fn paid_organic(rows: PaidOrganic, category: &str, rule: &Rule) -> Judged {
    const EXPECTED: &str = "nothing that was bought is called organic, and most rows are known to be one or the other";
    let PaidOrganic { paid, organic, unknown } = rows;
    let observed = format!("{paid} paid, {organic} organic, {unknown} unknown; the provider's category is {category}");
    if BOUGHT.contains(&category) && organic > 0 {
        let remedy =
            "map paid_or_organic to paid for this provider under a new version, then: tidegate normalize --replay";
        return Judged::failed(observed, EXPECTED, remedy);
    }
    let total = paid + organic + unknown;
    if total >= rule.count("min_rows") && share(unknown, total) > rule.number("max_unknown_share") {
        let remedy = "map where paid and organic can be told apart; until then the share of each is not to be shown";
        return Judged { only_warns: true, ..Judged::failed(observed, EXPECTED, remedy) };
    }
    Judged::passed(observed, EXPECTED)
}

pub fn spam_test_internal(without_reason: i64, half_marked: i64) -> Judged {
    let what: Vec<String> = [
        some(without_reason, "ignored raw events without a reason"),
        some(half_marked, "records that are a test in their row or in their link only"),
    ]
    .into_iter()
    .flatten()
    .collect();
    Judged::found(
        &what,
        "none",
        "what is left out has a reason, and a test is marked in row and link",
        "give the field map's ignore_when a reason; run the stream live once to replace a test batch's rows",
    )
}

/// No revenue until payments, invoices and customers belong together.
pub fn accounting_match(books: Option<Books>, rule: &Rule) -> Judged {
    const EXPECTED: &str = "each named invoice and customer is there, each invoice number once";
    let Some(books) = books else {
        return Judged::passed("not applicable: no accounting rows", EXPECTED);
    };
    let most = rule.count("max_unmatched");
    let over = |count: i64, what: &str| (count > most).then(|| format!("{count} {what}"));
    let what: Vec<String> = [
        over(books.payments_of_unknown_invoices, "payments of invoices that are not there"),
        over(books.invoices_of_unknown_customers, "invoices of customers that are not there"),
        over(books.doubled_numbers, "invoice numbers that stand on several invoices"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let fine = format!(
        "{} invoices, {} payments, {} payments name no invoice",
        books.invoices, books.payments, books.payments_without_invoice
    );
    Judged::found(
        &what,
        fine,
        EXPECTED,
        "run the streams of invoices and customers to the end; mend doubled numbers in the books",
    )
}

#[expect(clippy::cast_precision_loss, reason = "a share of row counts needs no more than 52 bits")]
pub(super) fn share(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::status::CheckStatus::{Failed, Passed},
        quality::{key::CheckKey, rules::Rules},
    };

    fn rule(key: CheckKey) -> Rule {
        Rules::built_in().unwrap().of("any", "any").into_iter().find(|rule| rule.key == key).unwrap()
    }

    fn of(column: &'static str, currency: Option<&str>) -> CurrencyUse {
        CurrencyUse { table: "field_jobs", column, currency: currency.map(str::to_owned), rows: 2 }
    }

    #[test]
    fn an_amount_needs_one_currency_and_a_column_one_for_all() {
        assert_eq!(currency_unit(&[]).status, Passed);
        assert_eq!(currency_unit(&[of("a", Some("USD")), of("b", Some("EUR"))]).status, Passed);
        for uses in [
            vec![of("a", None)],
            vec![of("a", Some(""))],
            vec![of("a", Some("usd"))],
            vec![of("a", Some("USD")), of("a", Some("EUR"))],
        ] {
            assert_eq!(currency_unit(&uses).status, Failed, "{uses:?}");
        }
    }

    #[test]
    fn rows_and_links_must_fit() {
        assert_eq!(duplicate_records(LinkFit::default()).status, Passed);
        for fit in [
            LinkFit { doubled: 1, ..LinkFit::default() },
            LinkFit { rows_without_link: 1, ..LinkFit::default() },
            LinkFit { links_without_row: 1, ..LinkFit::default() },
        ] {
            assert_eq!(duplicate_records(fit).status, Failed);
        }
    }

    #[test]
    fn p16_a_person_of_two_sources_is_told() {
        let rule = rule(CheckKey::PossibleDuplicates);
        assert_eq!(possible_duplicates(SharedContacts::default(), &rule).status, Passed);
        assert_eq!(possible_duplicates(SharedContacts { phones: 1, emails: 0 }, &rule).status, Failed);
    }

    #[test]
    fn what_a_marketplace_sends_is_never_organic_and_a_mostly_unknown_source_warns() {
        let rule = rule(CheckKey::PaidOrganic);
        let organic = PaidOrganic { organic: 1, ..PaidOrganic::default() };
        assert_eq!(paid_organic(organic, "marketplace", &rule).status, Failed);
        assert_eq!(paid_organic(organic, "ads", &rule).status, Failed);
        assert_eq!(paid_organic(organic, "crm", &rule).status, Passed);
        let unknown = paid_organic(PaidOrganic { unknown: 60, ..PaidOrganic::default() }, "crm", &rule);
        assert!(unknown.status == Failed && unknown.only_warns);
        assert_eq!(paid_organic(PaidOrganic { unknown: 40, ..PaidOrganic::default() }, "crm", &rule).status, Passed);
    }

    #[test]
    fn labels_reasons_and_marks_are_wanted() {
        assert_eq!(source_label(&[]).status, Passed);
        assert_eq!(source_label(&[LabelUse { table: "reviews", empty: 0, other: 1 }]).status, Failed);
        assert_eq!(spam_test_internal(0, 0).status, Passed);
        assert_eq!(spam_test_internal(1, 0).status, Failed);
        assert_eq!(spam_test_internal(0, 1).status, Failed);
    }

    #[test]
    fn the_books_must_match_where_there_are_any() {
        let rule = rule(CheckKey::AccountingMatch);
        let none = accounting_match(None, &rule);
        assert!(none.status == Passed && none.observed.contains("not applicable"));
        let fine = Books { invoices: 2, payments: 1, payments_without_invoice: 1, ..Books::default() };
        assert_eq!(accounting_match(Some(fine), &rule).status, Passed);
        for books in [
            Books { payments_of_unknown_invoices: 1, ..fine },
            Books { invoices_of_unknown_customers: 1, ..fine },
            Books { doubled_numbers: 1, ..fine },
        ] {
            assert_eq!(accounting_match(Some(books), &rule).status, Failed);
        }
    }
}

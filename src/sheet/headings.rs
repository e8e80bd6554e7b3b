//! The words of column headers, from `headings.tsv`.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

pub static HEADINGS: LazyLock<Headings> =
    LazyLock::new(|| Headings::read(include_str!("headings.tsv")));

/// Words or parts of words.
#[derive(Debug, Default)]
pub struct List(HashSet<&'static str>);

impl List {
    pub fn contains(&self, word: &str) -> bool {
        self.0.contains(word)
    }

    pub fn contains_one_of(&self, words: &[String]) -> bool {
        words.iter().any(|word| self.contains(word))
    }

    pub fn is_part_of(&self, plain: &str) -> bool {
        self.0.iter().any(|part| plain.contains(part))
    }
}

/// The lists of `headings.tsv`, which says what each is for.
pub struct Headings {
    pub name: List,
    pub first_name: List,
    pub middle_name: List,
    pub last_name: List,
    pub organization: List,
    pub notes: List,
    pub tags: List,
    pub phone_number: List,
    pub prefix: List,
    pub email: List,
    pub email_part: List,
    pub no_email: List,
    pub phone: List,
    pub phone_part: List,
    pub no_phone: List,
    pub mobile: List,
    pub mobile_part: List,
    pub work: List,
    pub work_part: List,
    pub home: List,
    pub home_part: List,
    pub other: List,
}

impl Headings {
    fn read(table: &'static str) -> Self {
        let mut lists = read_lists(table);
        let mut take = |name: &str| lists.remove(name).unwrap_or_default();
        Self {
            name: take("name"),
            first_name: take("first_name"),
            middle_name: take("middle_name"),
            last_name: take("last_name"),
            organization: take("organization"),
            notes: take("notes"),
            tags: take("tags"),
            phone_number: take("phone_number"),
            prefix: take("prefix"),
            email: take("email"),
            email_part: take("email_part"),
            no_email: take("no_email"),
            phone: take("phone"),
            phone_part: take("phone_part"),
            no_phone: take("no_phone"),
            mobile: take("mobile"),
            mobile_part: take("mobile_part"),
            work: take("work"),
            work_part: take("work_part"),
            home: take("home"),
            home_part: take("home_part"),
            other: take("other"),
        }
    }
}

fn read_lists(table: &'static str) -> HashMap<&'static str, List> {
    let mut lists: HashMap<_, List> = HashMap::new();
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    for (name, words) in lines.filter_map(|line| line.split_once('\t')) {
        let list = lists.entry(name).or_default();
        list.0.extend(words.split_whitespace());
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("headings.tsv");

    #[test]
    fn every_list_of_the_table_is_read() {
        let all = read_lists(TABLE).len();
        let headings = Headings::read(TABLE);
        let read = [
            &headings.name,
            &headings.first_name,
            &headings.middle_name,
            &headings.last_name,
            &headings.organization,
            &headings.notes,
            &headings.tags,
            &headings.phone_number,
            &headings.prefix,
            &headings.email,
            &headings.email_part,
            &headings.no_email,
            &headings.phone,
            &headings.phone_part,
            &headings.no_phone,
            &headings.mobile,
            &headings.mobile_part,
            &headings.work,
            &headings.work_part,
            &headings.home,
            &headings.home_part,
            &headings.other,
        ];
        assert_eq!(read.len(), all);
        assert!(read.iter().all(|list| !list.0.is_empty()));
    }

    #[test]
    fn every_line_is_a_comment_or_a_named_list() {
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            assert!(line.starts_with('#') || line.contains('\t'), "{line}");
        }
    }
}

use super::*;

fn read(text: &str) -> Result<List, ListError> {
    List::read(text.as_bytes(), None, &mut |_| true)
}

fn md5(number: u32) -> String {
    format!("{number:08x}{}", "5a".repeat(12))
}

fn counts(list: &List) -> Vec<(&str, usize)> {
    list.types()
        .map(|items| (items.kind().name(), items.len()))
        .collect()
}

fn faults(error: ListError) -> Vec<(u32, LineFault)> {
    let ListError::Lines { first, .. } = error else {
        panic!("{error}")
    };
    first
}

#[test]
fn blank_lines_are_counted_and_skipped() {
    let text = format!("\n  \t\r\n{}\r\n\n{}", md5(1), md5(2));
    let list = read(&text).unwrap();
    assert_eq!((list.lines(), list.blank(), list.len()), (5, 3, 2));
    let items = list.types().next().unwrap();
    assert_eq!(
        (items.first_line(0), items.first_line(1)),
        (Some(3), Some(5))
    );
    assert_eq!(items.inputs().next().unwrap()[0], 1);
}

#[test]
fn a_list_of_nothing_is_refused() {
    let empty = read("\n\nd41d8cd98f00b204e9800998ecf8427e\n")
        .err()
        .unwrap();
    assert!(matches!(
        empty,
        ListError::Empty {
            blank: 2,
            guarded: 1
        }
    ));
    assert!(matches!(read("").err().unwrap(), ListError::Empty { .. }));
}

#[test]
fn mixed_types_part_and_a_pdq_hash_is_never_guessed() {
    let sixty_four = format!("{}{}", "5a".repeat(16), "a5".repeat(16));
    let sha1 = "5a".repeat(20);
    let text = format!(
        "{}\n{sha1}\nSHA1:{sha1}\n{sixty_four}\npdq: {sixty_four}\n",
        md5(7)
    );
    let list = read(&text).unwrap();
    assert_eq!(
        counts(&list),
        [("md5", 1), ("sha1", 1), ("sha256", 1), ("pdq", 1)]
    );
    let named = List::read(sixty_four.as_bytes(), Some(&Algorithm::Pdq), &mut |_| true);
    assert_eq!(counts(&named.unwrap()), [("pdq", 1)]);
}

#[test]
fn invalid_hex_is_refused_by_line_and_never_repeated() {
    let bad = "zz".repeat(16);
    let text = format!(
        "{}\n{bad}\nsha256:{}\nnotes: secret\n{}\n",
        md5(1),
        md5(2),
        "a".repeat(41)
    );
    let error = read(&text).err().unwrap();
    let told = error.to_string();
    assert!(
        !told.contains("zz") && !told.contains("secret") && !told.contains(&md5(2)),
        "{told}"
    );
    assert!(
        told.starts_with("4 bad lines: line 2: 32 chars, 32 not hex; line 3:"),
        "{told}"
    );
    let faults = faults(error);
    assert_eq!(faults[2], (4, LineFault::UnknownType));
    assert_eq!(faults[3], (5, LineFault::NoType { chars: 41 }));
}

#[test]
fn faults_beyond_the_first_are_counted() {
    let error = read(&"x\n".repeat(1_000)).err().unwrap();
    let ListError::Lines { count, first } = error else {
        panic!("{error}")
    };
    assert_eq!((count, first.len()), (1_000, FAULTS_SHOWN));
}

#[test]
fn an_algorithm_that_is_never_matched_is_refused() {
    let error = read("tmk-pdqf:0102ff\n").err().unwrap();
    assert_eq!(faults(error), [(1, LineFault::UnknownType)]);
}

#[test]
fn guarded_values_are_skipped_and_named_by_line() {
    let text = format!(
        "{}\nd41d8cd98f00b204e9800998ecf8427e\npdq:{}1\n{}\n",
        md5(1),
        "0".repeat(63),
        "0".repeat(32)
    );
    let list = read(&text).unwrap();
    let expected = Guarded {
        count: 3,
        first: vec![2, 3, 4],
    };
    assert_eq!((list.len(), list.guarded()), (1, &expected));
}

#[test]
fn repeated_values_are_asked_once_and_told_by_every_line() {
    let upper = md5(1).to_uppercase();
    let text = format!("{}\n{}\n{upper}\nmd5:{}\n", md5(1), md5(2), md5(1));
    let list = read(&text).unwrap();
    let items = list.types().next().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items.lines_of(|item| item == 0), [1, 3, 4]);
    assert_eq!(items.lines_of(|_| true), [1, 2, 3, 4]);
}

#[test]
fn a_line_without_end_is_refused_in_bounded_memory() {
    let text = format!("{}\n{}\n{}\n", md5(1), "a".repeat(10 << 20), md5(2));
    let mut seen = 0;
    let error = List::read(text.as_bytes(), None, &mut |lines| {
        seen = lines;
        true
    });
    assert_eq!(faults(error.err().unwrap()), [(2, LineFault::TooLong)]);
    assert_eq!(seen, 3);
}

#[test]
fn bytes_that_are_no_text_are_refused_by_line() {
    let error = List::read(&[0xff; 32][..], None, &mut |_| true)
        .err()
        .unwrap();
    assert!(matches!(faults(error)[..], [(1, LineFault::Value(_))]));
}

/// Lines made as they are read: no test needs the memory of a list that must not be kept either.
struct Lines {
    next: u32,
    end: u32,
    each: fn(u32) -> String,
    rest: Vec<u8>,
}

impl Lines {
    fn new(end: u32, each: fn(u32) -> String) -> io::BufReader<Self> {
        io::BufReader::new(Self {
            next: 0,
            end,
            each,
            rest: Vec::new(),
        })
    }
}

impl io::Read for Lines {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.rest.len() < out.len() && self.next < self.end {
            self.rest
                .extend_from_slice((self.each)(self.next).as_bytes());
            self.rest.push(b'\n');
            self.next += 1;
        }
        let some = self.rest.len().min(out.len());
        out[..some].copy_from_slice(&self.rest[..some]);
        self.rest.drain(..some);
        Ok(some)
    }
}

#[test]
fn ten_million_lines_of_different_values_end_at_the_first_too_many() {
    let mut source = Lines::new(10_000_000, md5);
    let error = List::read(&mut source, None, &mut |_| true).err().unwrap();
    let ListError::TooMany { max, line } = error else {
        panic!("{error}")
    };
    assert_eq!((max, line), (1_000_000, 1_000_001));
    // It read no further than its buffer.
    assert!(source.get_ref().next < 1_010_000);
}

#[test]
fn ten_million_blank_lines_are_read_and_more_than_a_bound_are_not() {
    let blank = |_: u32| String::new();
    let error = List::read(Lines::new(10_000_000, blank), None, &mut |_| true);
    assert!(matches!(
        error.err().unwrap(),
        ListError::Empty {
            blank: 10_000_000,
            ..
        }
    ));
    let endless = List::read(Lines::new(u32::MAX, blank), None, &mut |_| true);
    assert!(matches!(endless.err().unwrap(), ListError::TooLong));
}

#[test]
fn ten_million_lines_that_repeat_themselves_are_refused() {
    let error = List::read(Lines::new(10_000_000, |n| md5(n % 8)), None, &mut |_| true);
    assert!(matches!(error.err().unwrap(), ListError::Repeats));
}

#[test]
fn whoever_goes_away_ends_the_reading() {
    let error = List::read(Lines::new(1_000_000, md5), None, &mut |_| false);
    assert!(matches!(error.err().unwrap(), ListError::Abandoned));
}

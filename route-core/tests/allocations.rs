//! Judging messages takes nothing from the heap.

use allocation_counter::measure;
use route_core::filter::sql::SqlFilter;

#[test]
fn the_counter_sees_an_allocation() {
    assert_eq!(measure(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(9)))).count_total, 1);
}

#[test]
fn an_expression_is_evaluated_without_an_allocation() {
    let filter = SqlFilter::parse(
        "(n BETWEEN 20 AND 49 AND color IN ('red', 'blue', 'x', 'y', 'z')) OR (TAGS = 'Five' AND n > 54.5) OR KEYS CONTAINS 'k' OR (n > 1) = (color = TRUE)",
    )
    .unwrap();
    let stored = b"TAGS\x01Four\x02n\x0130\x02KEYS\x01order\x02UNIQ_KEY\x01C000020279574E0E\x02color\x01green\x02";
    let counted = measure(|| assert!(!std::hint::black_box(&filter).passes(stored)));
    assert_eq!(counted.count_total, 0);
}

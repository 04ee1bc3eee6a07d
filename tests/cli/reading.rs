//! Screens and figures, from scripts.

use crate::lab::Lab;

#[test]
fn a_screen_is_printed_as_text_with_colours_and_as_json() {
    let lab = Lab::new();
    let script = r"printf '\033[2J\033[1;3H\033[1mbold\033[m\033[2;1Hdone'; exec cat";
    lab.ok(&["new", "a", "--size", "20x3", "--", "sh", "-c", script]);
    lab.until(&["screen", "a"], |screen| screen == "  bold\ndone\n");
    let styled = lab.ok(&["screen", "a", "--ansi"]);
    assert!(styled.contains("\x1b[1mbold\x1b[m"), "{styled:?}");
    let json = lab.json(&["screen", "a", "--json"]);
    assert_eq!(json["rows"], serde_json::json!(["  bold", "done", ""]));
    assert_eq!(json["cursor"], serde_json::json!({"col": 4, "row": 1, "visible": true}));
    assert_eq!(json["size"], serde_json::json!({"cols": 20, "rows": 3}));
    assert_eq!(json["modes"], serde_json::json!([]));
    assert!(json["title"].is_null());
    assert_eq!(lab.taut(&["screen", "nobody"]).code, 4);
}

#[test]
fn figures_are_printed_for_people_for_programs_and_for_prometheus() {
    let lab = Lab::new();
    assert_eq!(lab.taut(&["stats"]).code, 3, "no daemon is started to count nothing");
    lab.ok(&["new", "a", "--", "cat"]);
    lab.ok(&["send", "a", "hello"]);
    let shown = lab.ok(&["stats"]);
    assert!(shown.contains("transport unix_socket"), "{shown}");
    assert!(shown.contains("clients_limit"), "{shown}");
    assert!(shown.contains("decoded_to_written"), "{shown}");
    let json = lab.json(&["stats", "--json"]);
    assert_eq!(json["counters"]["input_bytes_total"], 5);
    assert_eq!(json["limits"]["clients_limit"], 64);
    assert_eq!(json["stages"][1]["name"], "decoded_to_written");
    assert!(json["stages"][1]["p50_ns"].as_u64().unwrap() > 0);
    let metrics = lab.ok(&["stats", "--prometheus"]);
    assert!(
        metrics.contains("\n# TYPE taut_input_bytes_total counter\ntaut_input_bytes_total 5\n")
    );
    assert!(metrics.contains("taut_stage_seconds_count{stage=\"decoded_to_written\"} 1\n"));
    let one = lab.json(&["stats", "a", "--json"]);
    assert_eq!(one["counters"]["input_offset"], 5);
    lab.ok(&["stats", "--reset-interval"]);
    let interval = lab.json(&["stats", "--reset-interval", "--json"]);
    assert_eq!(interval["counters"]["input_bytes_total"], 0);
}

use super::shown;

fn html(text: &str) -> String {
    shown(text, "acme/tenants").into_string()
}

#[test]
fn githubs_dialect_is_shown() {
    let text = "<!-- tenantry:plan -->\n### Plan\n\n> [!WARNING]\n> ~~no~~ yes\n\n| a | b |\n|:--|--:|\n| 1 | <code>2</code> |\n\n<details><summary>more</summary>\n\n- [x] done\n\n</details>\n\nhttps://example.com";
    let html = html(text);
    for part in [
        "<h3>Plan</h3>",
        "<div class=\"markdown-alert markdown-alert-warning\">",
        "<p class=\"markdown-alert-title\">Warning</p>",
        "<del>no</del>",
        "aria-label=\"Table\"><table>",
        "<td align=\"right\"><code>2</code></td>",
        "<details><summary>more</summary>",
        "type=\"checkbox\"",
        "<a href=\"https://example.com\"",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    assert!(!html.contains("tenantry:plan"), "{html}");
}

#[test]
fn a_head_that_says_nothing_is_no_head() {
    let html = html("| | a | |\n|:--|--:|---|\n| 1 | 2 | 3 |");
    assert!(html.contains("<td align=\"left\"></td>"), "{html}");
    assert!(html.contains("<th align=\"right\">a</th>"), "{html}");
    assert!(html.contains("<td></td>"), "{html}");
}

#[test]
fn a_diff_has_its_signs_told_apart() {
    let html = html("```diff\n+ <new>\n- old\n  same\n```");
    assert!(
        html.contains("<span class=\"added\">+ &lt;new&gt;</span>"),
        "{html}"
    );
    assert!(
        html.contains("<span class=\"removed\">- old</span>"),
        "{html}"
    );
}

#[test]
fn what_would_harm_is_taken_out() {
    let html = html(
        "<script>alert(1)</script><img src=x onerror=alert(1)><a href=\"javascript:alert(1)\" onclick=\"x\">a</a>\
         <style>*{}</style><p style=\"color:red\" class=\"notice\" id=\"live\">b</p><form action=/x><button>c</button></form>\
         <iframe src=/></iframe><input type=\"text\" name=\"title\" autofocus>\n\n[d](javascript:alert(1)) ![e](https://example.com/e.png)",
    );
    for word in [
        "script",
        "onerror",
        "onclick",
        "style",
        "javascript",
        "<img",
        "<form",
        "<button",
        "<iframe",
        "notice",
        "id=",
        "autofocus",
        "type=\"text\"",
        "e.png",
    ] {
        assert!(!html.contains(word), "`{word}` is left in {html}");
    }
}

#[test]
fn links_to_the_embedded_github_lead_to_these_pages() {
    let cases = [
        (
            "https://github.com/acme/tenants/pull/7#issuecomment-1",
            "/pulls/7",
        ),
        ("https://github.com/acme/tenants/runs/12", "/checks/12"),
        (
            "https://github.com/acme/tenants/blob/main/tenants.yaml",
            "/",
        ),
        ("https://github.com/acme/ai-team-workspace", "/organization"),
        (
            "https://github.com/elsewhere/tenants",
            "https://github.com/elsewhere/tenants",
        ),
    ];
    for (address, wanted) in cases {
        let html = html(&format!("[x]({address})"));
        assert!(html.contains(&format!("href=\"{wanted}\"")), "{html}");
    }
}

//! A report as one page for a browser, which needs no other file and no network.

use std::fmt::Write;
use std::iter;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use crate::markdown::Embedded;

/// Colours and measures. A plot is drawn on white, whatever the page is on.
const STYLE: &str = include_str!("html/style.css");

/// The page of a report in Markdown. Plots that the text embeds stand in the page itself; of HTML only line breaks are let
/// through, anything else is shown as text.
pub(crate) fn page(markdown: &str, plots: &[Embedded]) -> String {
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let headings = headings(&events);
    let title = headings.iter().find(|heading| heading.level == HeadingLevel::H1);
    let title = escaped(title.map_or("hitbench", |heading| &heading.text));
    let mut contents = String::new();
    for (number, heading) in headings.iter().enumerate() {
        if heading.level == HeadingLevel::H2 {
            let text = escaped(&heading.text);
            writeln!(contents, "<a href=\"#section-{number}\">{text}</a>").expect("text takes all");
        }
    }
    let mut body = String::new();
    html::push_html(&mut body, on_a_page(events, plots).into_iter());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<nav>\n{contents}</nav>\n<main>\n{body}</main>\n\
         </body>\n</html>\n"
    )
}

struct Heading {
    level: HeadingLevel,
    text: String,
}

fn headings(events: &[Event<'_>]) -> Vec<Heading> {
    let mut found = Vec::new();
    let mut open = false;
    for event in events {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open = true;
                let text = String::new();
                found.push(Heading { level: *level, text });
            }
            Event::End(TagEnd::Heading(_)) => open = false,
            Event::Text(text) | Event::Code(text) if open => {
                if let Some(heading) = found.last_mut() {
                    heading.text.push_str(text);
                }
            }
            _ => {}
        }
    }
    found
}

/// The events of a report as those of a page: numbered headings, tables that scroll by themselves, plots in place.
fn on_a_page<'a>(events: Vec<Event<'a>>, plots: &'a [Embedded]) -> Vec<Event<'a>> {
    let mut out = Vec::with_capacity(events.len());
    let mut n_headings = 0;
    let mut in_plot = false;
    for event in events {
        match event {
            Event::Start(Tag::Heading {
                level,
                classes,
                attrs,
                ..
            }) => {
                let id = Some(CowStr::from(format!("section-{n_headings}")));
                n_headings += 1;
                out.push(Event::Start(Tag::Heading {
                    level,
                    id,
                    classes,
                    attrs,
                }));
            }
            Event::Start(Tag::Table(columns)) => {
                out.push(Event::Html("<div class=\"table\">\n".into()));
                out.push(Event::Start(Tag::Table(columns)));
            }
            Event::End(TagEnd::Table) => {
                out.push(Event::End(TagEnd::Table));
                out.push(Event::Html("</div>\n".into()));
            }
            Event::Start(Tag::Image { ref dest_url, .. }) => match plot(dest_url, plots) {
                Some(plot) => {
                    in_plot = true;
                    out.push(Event::InlineHtml(inline(plot).into()));
                }
                None => out.push(event),
            },
            Event::End(TagEnd::Image) if in_plot => in_plot = false,
            // The description is an attribute of the plot.
            _ if in_plot => {}
            Event::Html(text) | Event::InlineHtml(text) if &*text != "<br>" => out.push(Event::Text(text)),
            event => out.push(event),
        }
    }
    out
}

/// The plot that a report embeds as `plots/STEM.svg`.
fn plot<'a>(url: &str, plots: &'a [Embedded]) -> Option<&'a Embedded> {
    let stem = url.strip_prefix("plots/")?.strip_suffix(".svg")?;
    plots.iter().find(|plot| plot.stem == stem)
}

/// A plot as an element of the page, described for readers who cannot see it.
fn inline(plot: &Embedded) -> String {
    let (tag, rest) = plot.svg.split_once('>').unwrap_or(("<svg", &plot.svg));
    let alt = escaped(&plot.alt);
    format!("<span class=\"plot\">{tag} role=\"img\"><title>{alt}</title>{rest}</span>")
}

/// Text in an element.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    html::push_html(&mut out, iter::once(Event::Text(text.into())));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablation::report_md;
    use crate::fixture;

    fn plots() -> [Embedded; 1] {
        [Embedded {
            stem: "loss".to_owned(),
            alt: "Loss of <all> cells".to_owned(),
            svg: "<svg width=\"4\" height=\"3\">\n<rect/>\n</svg>\n".to_owned(),
        }]
    }

    fn body(markdown: &str) -> String {
        let page = page(markdown, &plots());
        let (_, body) = page.split_once("<body>\n").unwrap();
        body.to_owned()
    }

    #[test]
    fn a_page_has_contents_tables_and_drawings() {
        let text = "# A `suite`\n\n## Results\n\n| a | b |\n| --- | ---: |\n| x<br>y | 1 |\n\n## Plots & more\n\n\
            ![Loss](plots/loss.svg)\n";
        insta::assert_snapshot!(body(text), @r##"
        <nav>
        <a href="#section-1">Results</a>
        <a href="#section-2">Plots &amp; more</a>
        </nav>
        <main>
        <h1 id="section-0">A <code>suite</code></h1>
        <h2 id="section-1">Results</h2>
        <div class="table">
        <table><thead><tr><th>a</th><th style="text-align: right">b</th></tr></thead><tbody>
        <tr><td>x<br>y</td><td style="text-align: right">1</td></tr>
        </tbody></table>
        </div>
        <h2 id="section-2">Plots &amp; more</h2>
        <p><span class="plot"><svg width="4" height="3" role="img"><title>Loss of &lt;all&gt; cells</title>
        <rect/>
        </svg>
        </span></p>
        </main>
        </body>
        </html>
        "##);
        assert!(page(text, &[]).contains("<title>A suite</title>"));
    }

    #[test]
    fn html_in_a_report_is_text() {
        let body = body(
            "# a\n\n<script>alert(1)</script>\n\nb <img src=x onerror=y> <br> c\n\n![d](plots/none.svg)\n",
        );
        assert!(!body.contains("<script"), "{body}");
        assert!(
            body.contains("&lt;script&gt;") && body.contains("b &lt;img"),
            "{body}"
        );
        assert!(
            body.contains("<br> c") && body.contains("src=\"plots/none.svg\""),
            "{body}"
        );
    }

    #[test]
    fn a_page_says_what_its_report_says() {
        let run = fixture::queue_by_hierarchy(&[0, 1, 2]);
        let comparisons = fixture::comparisons(&run);
        let text = report_md(&run, &fixture::trials(&run), Some(&comparisons), &plots());
        let page = page(&text, &plots());
        let count = |text: &str, part: &str| text.matches(part).count();
        assert_eq!(count(&page, "<h2 "), count(&text, "\n## "));
        assert_eq!(count(&page, "href=\"#section-"), count(&text, "\n## "));
        assert_eq!(count(&page, "<table>"), count(&text, "\n| ---"));
        assert_eq!(count(&page, "<svg "), 1);
        // Nothing is fetched.
        assert_eq!(count(&page, "src="), 0);
    }
}

//! Privileges written as GRANT and REVOKE.

use super::{Grants, privileges};

fn of<'a>(keyword: &'a str, acl: Option<&'a str>, default: &'a str) -> Grants<'a> {
    Grants {
        keyword,
        name: "public.t",
        owner: "own",
        acl,
        default,
        ..Grants::default()
    }
}

#[test]
fn untouched_objects_need_nothing() {
    assert!(
        privileges(&of("TABLE", None, "{own=arwdDxt/own}"))
            .unwrap()
            .is_empty()
    );
    let same = of("TABLE", Some("{own=arwdDxt/own}"), "{own=arwdDxt/own}");
    assert!(privileges(&same).unwrap().is_empty());
}

#[test]
fn grants_keep_their_order_and_options() {
    let acl = "{own=arwdDxt/own,=r/own,\"\\\"Odd \\\"\\\"Role\\\"=r*w/own\",c=r/\"\\\"Odd \\\"\\\"Role\\\"\"}";
    // The array text above is what the server sends: elements quoted, backslashes before quotes.
    let acl = acl.replace("c=r/\"\\\"Odd", "\"c=r/\\\"Odd");
    assert_eq!(
        privileges(&of("TABLE", Some(&acl), "{own=arwdDxt/own}")).unwrap(),
        [
            "GRANT SELECT ON TABLE public.t TO PUBLIC",
            "GRANT UPDATE ON TABLE public.t TO \"Odd \"\"Role\"",
            "GRANT SELECT ON TABLE public.t TO \"Odd \"\"Role\" WITH GRANT OPTION",
            "SET SESSION AUTHORIZATION \"Odd \"\"Role\"",
            "GRANT SELECT ON TABLE public.t TO c",
            "RESET SESSION AUTHORIZATION",
        ]
    );
}

#[test]
fn revoked_defaults_are_revoked() {
    let acl = of(
        "FUNCTION",
        Some("{own=X/own,r=X/own}"),
        "{=X/own,own=X/own}",
    );
    assert_eq!(
        privileges(&acl).unwrap(),
        [
            "REVOKE ALL ON FUNCTION public.t FROM PUBLIC",
            "GRANT ALL ON FUNCTION public.t TO r",
        ]
    );
    assert_eq!(
        privileges(&of("TABLE", Some("{}"), "{own=arwdDxtm/own}")).unwrap(),
        ["REVOKE ALL ON TABLE public.t FROM own"]
    );
}

#[test]
fn extension_members_start_from_what_their_script_granted() {
    let mut grants = of("TABLE", None, "{own=arwdDxt/own}");
    grants.initial = Some("{own=arwdDxt/own,=r/own}");
    assert_eq!(
        privileges(&grants).unwrap(),
        ["REVOKE SELECT ON TABLE public.t FROM PUBLIC"]
    );
    grants.acl = grants.initial;
    assert!(privileges(&grants).unwrap().is_empty());
}

#[test]
fn columns_name_themselves() {
    let mut grants = of("TABLE", Some("{r=rw/own,s=arwx/own}"), "{}");
    grants.column = Some("\"A\"");
    assert_eq!(
        privileges(&grants).unwrap(),
        [
            "GRANT SELECT(\"A\"),UPDATE(\"A\") ON TABLE public.t TO r",
            "GRANT ALL(\"A\") ON TABLE public.t TO s",
        ]
    );
}

#[test]
fn nobody_gets_what_the_server_did_not_know_and_owners_keep_it() {
    let old = of("TABLE", Some("{r=arwdDxt/own}"), "{own=arwdDxt/own}");
    let known = "SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE public.t";
    assert_eq!(
        privileges(&old).unwrap(),
        [
            format!("REVOKE {known} FROM own"),
            format!("GRANT {known} TO r")
        ]
    );
    let new = of("TABLE", Some("{r=arwdDxtm/own}"), "{own=arwdDxtm/own}");
    assert_eq!(
        privileges(&new).unwrap(),
        [
            "REVOKE ALL ON TABLE public.t FROM own",
            "GRANT ALL ON TABLE public.t TO r"
        ]
    );
}

#[test]
fn nonsense_is_refused() {
    for bad in ["{r}", "{r=r}", "{\"\\\"r=r/own\"}", "{r=r/own=}"] {
        assert!(privileges(&of("TABLE", Some(bad), "{}")).is_err(), "{bad}");
    }
}

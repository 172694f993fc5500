//! Whatever a peer sends, the decoders neither panic nor grow, however the bytes arrive; and what we write we read back.

use proptest::{collection::vec, option, prelude::*, sample};
use proto_core::{
    Command, ExtFields, Flag, Frame, FrameDecoder, FrameError, SerializeType, Text,
    code::LanguageCode,
    encode::EncodeError,
    frame::Decoded,
    headers::{DecodeExt, PullMessageRequest, SendMessageRequest},
};

/// Recorded frames of both forms.
fn recorded() -> Vec<Vec<u8>> {
    let lines = [include_str!("golden/frames-json.jsonl"), include_str!("golden/frames-binary.jsonl")];
    let frame = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let hex = value["frame_hex"].as_str().unwrap();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    lines.into_iter().flat_map(str::lines).map(frame).collect()
}

/// Headers near to what is valid: pieces of JSON in any order, or a recorded header with bytes changed, taken out or doubled.
fn any_header() -> impl Strategy<Value = (SerializeType, Vec<u8>)> {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u12",
        "\\ud83d\\ude00",
        "\"code\":",
        "\"extFields\":{",
        "\"opaque\":7",
        "\"a\":\"1\"",
        "\"e\":",
        "null",
        "true",
        "-1.5e9",
        "99999999999",
        " ",
        "\n",
        "\u{fc}",
    ];
    let made = vec(sample::select(PIECES), 0..40).prop_map(|pieces| (SerializeType::Json, pieces.concat().into_bytes()));
    let noise = (any::<bool>(), vec(any::<u8>(), 0..200)).prop_map(|(json, bytes)| (form(json), bytes));
    let changed = (sample::select(recorded()), vec((any::<sample::Index>(), any::<u8>(), 0..4u8), 0..5)).prop_map(|(frame, changes)| {
        let word = u32::from_be_bytes(frame[4..8].try_into().unwrap());
        let mut header = frame[8..8 + (word & 0xff_ffff) as usize].to_vec();
        for (at, byte, change) in changes {
            let at = at.index(header.len());
            match change {
                0 => header[at] = byte,
                1 => header.truncate(at + 1),
                2 => header.insert(at, byte),
                _ => header[at] ^= 1 << (byte % 8),
            }
        }
        (form(word >> 24 == 0), header)
    });
    prop_oneof![made, noise, changed]
}

const fn form(json: bool) -> SerializeType {
    if json { SerializeType::Json } else { SerializeType::RocketMq }
}

/// Everything of a command that must survive being written and read.
type Facts = (i32, Option<LanguageCode>, i32, i32, Flag, Option<String>, Vec<(String, Option<String>)>, Vec<u8>);

fn facts(command: &Command<'_>) -> Facts {
    let owned = |text: Text<'_>| text.to_cow().into_owned();
    let ext = command.ext.iter().map(|(name, value)| (owned(name), value.map(owned))).collect();
    let Command { code, language, version, opaque, flag, remark, body, .. } = *command;
    (code, language, version, opaque, flag, remark.map(owned), ext, body.to_vec())
}

fn reread(bytes: &[u8]) -> Command<'_> {
    match FrameDecoder::new(usize::MAX).decode(bytes) {
        Ok(Decoded::Frame { frame, len }) if len == bytes.len() => Command::decode(frame).unwrap(),
        other => panic!("{other:?}"),
    }
}

prop_compose! {
    /// Texts are not empty, as an empty one is null in a binary header.
    fn any_command_parts()(
        code: i16, language in sample::select(LanguageCode::ALL), version: i16, opaque: i32, flag: i32, remark in option::of(".{1,20}"),
        ext in vec((".{0,6}", ".{1,40}"), 0..20), body in vec(any::<u8>(), 0..40), json: bool,
    ) -> (Facts, SerializeType) {
        let ext = ext.into_iter().map(|(name, value)| (name, Some(value))).collect();
        ((code.into(), Some(language), version.into(), opaque, Flag(flag), remark, ext, body), form(json))
    }
}

proptest! {
    #[test]
    fn no_header_makes_the_decoder_panic((serialize, header) in any_header()) {
        if let Ok(command) = Command::decode(Frame { serialize, header: &header, body: b"" }) {
            let _ = SendMessageRequest::decode(10, &command.ext);
            let _ = SendMessageRequest::decode(310, &command.ext);
            let _ = PullMessageRequest::decode_ext(&command.ext);
            let mut written = Vec::new();
            if command.encode(&mut written).is_ok() {
                let again = reread(&written);
                prop_assert_eq!(again.code, command.code);
                prop_assert_eq!(again.opaque, command.opaque);
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back((facts_in, serialize) in any_command_parts()) {
        let (code, language, version, opaque, flag, remark, ext_in, body) = &facts_in;
        let mut ext = if ext_in.is_empty() { ExtFields::default() } else { ExtFields::present() };
        for (name, value) in ext_in {
            prop_assert!(ext.push(Text::plain(name), value.as_deref().map(Text::plain)));
        }
        let remark = remark.as_deref().map(Text::plain);
        let command =
            Command { code: *code, language: *language, version: *version, opaque: *opaque, flag: *flag, remark, ext, serialize, body };
        let mut written = b"before".to_vec();
        command.encode(&mut written).unwrap();
        prop_assert_eq!(&facts(&reread(&written[6..])), &facts_in);
    }

    #[test]
    fn a_stream_holds_the_same_frames_however_it_arrives(
        frames in vec(sample::select(recorded()), 1..6), cuts in vec(any::<sample::Index>(), 0..12),
    ) {
        let stream = frames.concat();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).chain([stream.len()]).collect();
        ends.sort_unstable();
        let (mut start, mut seen) = (0, Vec::new());
        for end in ends {
            loop {
                match FrameDecoder::default().decode(&stream[start..end]).unwrap() {
                    Decoded::Frame { len, .. } => {
                        seen.push(stream[start..start + len].to_vec());
                        start += len;
                    }
                    Decoded::Incomplete { needed } => {
                        prop_assert!(needed > end - start, "{} bytes are there, {} are said to be needed", end - start, needed);
                        break;
                    }
                }
            }
        }
        prop_assert_eq!(seen, frames);
    }

    #[test]
    fn no_bytes_make_the_frame_decoder_panic_or_ask_for_more_than_the_limit(bytes in vec(any::<u8>(), 0..40), limit in 8..1000usize) {
        match FrameDecoder::new(limit).decode(&bytes) {
            Ok(Decoded::Frame { frame, len }) => prop_assert_eq!(8 + frame.header.len() + frame.body.len(), len),
            Ok(Decoded::Incomplete { needed }) => prop_assert!(needed > bytes.len() && needed <= limit),
            Err(FrameError::TooShort { announced }) => prop_assert!(announced < 8),
            Err(FrameError::TooLong { announced, .. }) => prop_assert!(announced > limit as i64),
            Err(FrameError::BadHeaderLength { header, frame }) => prop_assert!(header + 4 > frame),
            Err(FrameError::UnknownSerializer(byte)) => prop_assert!(byte > 1),
        }
    }
}

#[test]
fn a_gigabyte_is_refused_from_its_first_four_bytes() {
    let prefix = i32::to_be_bytes(1 << 30);
    let refused = FrameDecoder::default().decode(&prefix);
    assert_eq!(refused, Err(FrameError::TooLong { announced: (1 << 30) + 4, limit: 16 << 20 }));
    assert!(matches!(FrameDecoder::default().decode(&[0xff; 4]), Err(FrameError::TooShort { announced: 3 })));
}

#[test]
fn a_code_that_does_not_fit_in_a_binary_header_is_refused_and_nothing_is_written() {
    let header = br#"{"code":200050}"#;
    let json = Command::decode(Frame { serialize: SerializeType::Json, header, body: b"" }).unwrap();
    let mut written = b"before".to_vec();
    let refused = Command { serialize: SerializeType::RocketMq, ..json }.encode(&mut written);
    assert_eq!(refused, Err(EncodeError::TooWide { member: "code", value: 200_050 }));
    assert_eq!(written, b"before");
}

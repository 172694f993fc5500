//! The name server's small configuration store: 100, 101, 102, 219.

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 100 `PUT_KV_CONFIG`: keep a value. The broker of Java refuses a request without namespace or key.
    lenient PutKvConfigRequest<'a> {
        /// The namespace, for example `ORDER_TOPIC_CONFIG`.
        namespace: Option<Text<'a>> = "namespace",
        /// The key.
        key: Option<Text<'a>> = "key",
        /// The value.
        value: Option<Text<'a>> = "value",
    }

    /// 101 `GET_KV_CONFIG`: read a value.
    lenient GetKvConfigRequest<'a> {
        /// The namespace.
        namespace: Text<'a> = "namespace",
        /// The key.
        key: Text<'a> = "key",
    }

    /// The value.
    lenient GetKvConfigResponse<'a> {
        /// The value, if there is one.
        value: Option<Text<'a>> = "value",
    }

    /// 102 `DELETE_KV_CONFIG`: drop a value.
    lenient DeleteKvConfigRequest<'a> {
        /// The namespace.
        namespace: Option<Text<'a>> = "namespace",
        /// The key.
        key: Option<Text<'a>> = "key",
    }

    /// 219 `GET_KVLIST_BY_NAMESPACE`: all values of a namespace.
    lenient GetKvListByNamespaceRequest<'a> {
        /// The namespace.
        namespace: Text<'a> = "namespace",
    }
}

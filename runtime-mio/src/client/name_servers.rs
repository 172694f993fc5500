//! Asking name servers where a topic lives.

use proto_core::{Text, bodies::TopicRouteData, code::RequestCode, headers::GetRouteInfoRequest, json, names::AUTO_CREATE_TOPIC};

use super::{
    connection::{Connection, Timeouts},
    error::ClientError,
};

/// Where name servers are looked for if nobody says it: `NAMESRV_ADDR`, as Java's clients do, else the usual port of this machine.
#[must_use]
pub fn default_name_servers() -> String {
    std::env::var("NAMESRV_ADDR").ok().filter(|list| !list.trim().is_empty()).unwrap_or_else(|| "127.0.0.1:9876".to_owned())
}

/// Name servers that all know the same. The first that answers is asked as long as it answers.
#[derive(Debug)]
pub struct NameServers {
    addresses: Vec<String>,
    timeouts: Timeouts,
    connection: Option<Connection>,
}

/// Where a topic lives, or where it will be made by the first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The brokers and their queues.
    pub data: TopicRouteData,
    /// Whether the topic is yet to be made: the route is that of [`AUTO_CREATE_TOPIC`].
    pub is_new: bool,
}

impl NameServers {
    /// Takes a list like `HOST:PORT;HOST:PORT`. Nobody is called yet.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`] if there is no address in it.
    pub fn new(list: &str, timeouts: Timeouts) -> Result<Self, ClientError> {
        let addresses: Vec<String> = list.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if addresses.is_empty() {
            return Err(ClientError::BadAddress(list.to_owned()));
        }
        Ok(Self { addresses, timeouts, connection: None })
    }

    /// The route of a topic.
    ///
    /// # Errors
    /// Any [`ClientError`]: that of the last name server if none answers; see [`ClientError::is_unknown_topic`].
    pub fn route(&mut self, topic: &str) -> Result<TopicRouteData, ClientError> {
        if let Some(connection) = &mut self.connection {
            match ask(connection, topic) {
                Err(ClientError::Io { .. } | ClientError::Closed { .. } | ClientError::TimedOut { .. }) => self.connection = None,
                answer => return answer,
            }
        }
        let mut last = None;
        for address in &self.addresses {
            let asked = Connection::connect(address, self.timeouts).and_then(|mut connection| {
                let answer = ask(&mut connection, topic);
                if matches!(answer, Ok(_) | Err(ClientError::Refused { .. })) {
                    self.connection = Some(connection);
                }
                answer
            });
            match asked {
                Err(ClientError::Connect { address, source }) => last = Some(ClientError::NoNameServer { address, source }),
                Err(error) if !matches!(error, ClientError::Refused { .. }) => last = Some(error),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(|| ClientError::BadAddress(String::new())))
    }

    /// The route for sending: a topic that is not known gets that of the topic after which brokers make new ones.
    ///
    /// # Errors
    /// As [`Self::route`]; that the topic is unknown if brokers make none.
    pub fn route_to_send(&mut self, topic: &str) -> Result<Route, ClientError> {
        match self.route(topic) {
            Ok(data) => Ok(Route { data, is_new: false }),
            Err(unknown) if unknown.is_unknown_topic() => match self.route(AUTO_CREATE_TOPIC) {
                Ok(data) => Ok(Route { data, is_new: true }),
                Err(error) if error.is_unknown_topic() => Err(unknown),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

fn ask(connection: &mut Connection, topic: &str) -> Result<TopicRouteData, ClientError> {
    let request = RequestCode::GetRouteinfoByTopic;
    let header = GetRouteInfoRequest { topic: Text::plain(topic), accept_standard_json_only: Some(true), ..GetRouteInfoRequest::default() };
    connection.call(request, &header, b"", |answer| json::from_slice(answer.body).map_err(|source| ClientError::Body { request, source }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::test_server::{Reply, TestServer};
    use proto_core::{bodies::QueueData, headers::DecodeExt, json::Dialect};

    fn route_of(broker: &str) -> TopicRouteData {
        TopicRouteData {
            queue_datas: vec![QueueData { broker_name: broker.to_owned(), ..QueueData::default() }],
            ..TopicRouteData::default()
        }
    }

    /// A name server that knows only `known`.
    fn name_server(known: &'static str) -> TestServer {
        TestServer::start(move |request| {
            let header = GetRouteInfoRequest::decode_ext(&request.ext).unwrap();
            assert_eq!(header.accept_standard_json_only, Some(true));
            let reply = Reply::to(request);
            vec![if header.topic == known {
                reply.body(json::to_vec(&route_of(known), Dialect::Standard))
            } else {
                reply.code(17).remark("unknown")
            }]
        })
    }

    fn asking(list: &str) -> NameServers {
        NameServers::new(list, Timeouts::default()).unwrap()
    }

    #[test]
    fn a_new_topic_is_sent_where_brokers_make_new_ones() {
        let server = name_server(AUTO_CREATE_TOPIC);
        let route = asking(server.address()).route_to_send("New").unwrap();
        assert_eq!(route, Route { data: route_of(AUTO_CREATE_TOPIC), is_new: true });
    }

    #[test]
    fn an_unknown_topic_is_named_if_brokers_make_none() {
        let server = name_server("Other");
        let error = asking(server.address()).route_to_send("New").unwrap_err();
        assert!(error.is_unknown_topic());
    }

    #[test]
    fn a_name_server_that_is_down_is_passed_over() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = name_server("T");
        let mut servers = asking(&format!(" {nobody} ;; {}", server.address()));
        assert_eq!(servers.route("T").unwrap(), route_of("T"));
        assert!(servers.route("U").unwrap_err().is_unknown_topic(), "its word counts, the list is not asked again");
    }

    #[test]
    fn where_no_name_server_is_it_is_said_how_to_get_one() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = asking(&nobody.to_string()).route("T").unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot connect to {nobody}: ")) && error.contains("petrel standalone"), "{error}");
    }

    #[test]
    fn a_list_without_an_address_is_refused() {
        assert!(matches!(NameServers::new(" ; ", Timeouts::default()), Err(ClientError::BadAddress(_))));
    }
}

//! Keys about sockets: of the server and of a broker's own dials.

use crate::config::{
    key::{
        ANY, COUNT, Key, Kind, POSITIVE, Standard,
        Status::{NoEffect, OnlyDefault, Used},
        flag, number, of, text,
    },
    reason::{ENCRYPTION, ONE_LOOP, SOCKETS},
};

/// `NettyServerConfig`
pub(super) const SERVER: &[Key] = &[
    of("bindAddress", Kind::Address, Standard::Is("0.0.0.0"), Used),
    number("serverWorkerThreads", 8, ANY, NoEffect(ONE_LOOP)),
    number("serverCallbackExecutorThreads", 0, ANY, NoEffect(ONE_LOOP)),
    number("serverSelectorThreads", 3, ANY, NoEffect(ONE_LOOP)),
    number("serverOnewaySemaphoreValue", 256, ANY, NoEffect(ONE_LOOP)),
    number("serverAsyncSemaphoreValue", 64, ANY, NoEffect(ONE_LOOP)),
    number("serverChannelMaxIdleTimeSeconds", 120, COUNT, Used),
    number("serverSocketSndBufSize", 0, ANY, NoEffect(SOCKETS)),
    number("serverSocketRcvBufSize", 0, ANY, NoEffect(SOCKETS)),
    number("writeBufferHighWaterMark", 0, 0..=1 << 30, Used),
    number("writeBufferLowWaterMark", 0, 0..=1 << 30, Used),
    number("serverSocketBacklog", 1024, POSITIVE, Used),
    flag("serverNettyWorkerGroupEnable", true, NoEffect(ONE_LOOP)),
    flag("serverPooledByteBufAllocatorEnable", true, NoEffect(SOCKETS)),
    flag("enableShutdownGracefully", false, NoEffect(SOCKETS)),
    number("shutdownWaitTimeSeconds", 30, ANY, NoEffect(SOCKETS)),
    flag("useEpollNativeSelector", false, NoEffect(SOCKETS)),
];

/// `NettyClientConfig`
pub(super) const CLIENT: &[Key] = &[
    number("clientWorkerThreads", 4, ANY, NoEffect(ONE_LOOP)),
    of("clientCallbackExecutorThreads", Kind::Whole(COUNT), Standard::Processors(|n| n), NoEffect(ONE_LOOP)),
    number("clientOnewaySemaphoreValue", 65535, ANY, NoEffect(ONE_LOOP)),
    number("clientAsyncSemaphoreValue", 65535, ANY, NoEffect(ONE_LOOP)),
    number("connectTimeoutMillis", 3000, POSITIVE, Used),
    number("channelNotActiveInterval", 60000, ANY, NoEffect(SOCKETS)),
    flag("isScanAvailableNameSrv", true, NoEffect(SOCKETS)),
    number("clientChannelMaxIdleTimeSeconds", 120, ANY, NoEffect(SOCKETS)),
    number("clientSocketSndBufSize", 0, ANY, NoEffect(SOCKETS)),
    number("clientSocketRcvBufSize", 0, ANY, NoEffect(SOCKETS)),
    flag("clientPooledByteBufAllocatorEnable", false, NoEffect(SOCKETS)),
    flag("clientCloseSocketIfTimeout", true, NoEffect(SOCKETS)),
    flag("useTLS", false, OnlyDefault(ENCRYPTION)),
    text("socksProxyConfig", "{}", NoEffect(SOCKETS)),
    flag("disableCallbackExecutor", false, NoEffect(ONE_LOOP)),
    flag("disableNettyWorkerGroup", false, NoEffect(ONE_LOOP)),
    number("maxReconnectIntervalTimeSeconds", 60, ANY, NoEffect(SOCKETS)),
    flag("enableReconnectForGoAway", true, NoEffect(SOCKETS)),
];

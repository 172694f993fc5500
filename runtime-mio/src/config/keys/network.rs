//! Keys of sockets.

use super::{Default::*, Kind::*, Status::*, keys, why};

keys! {
    /// `NettyServerConfig`. `listenPort` is the broker's; a name server has its own default.
    SERVER of NettyServerConfig {
        "bindAddress": Text => Fixed("0.0.0.0") => Used;
        "listenPort": Integer => Fixed("10911") => Used;
        "serverWorkerThreads": Integer => Fixed("8") => NoEffect(why::THREADS);
        "serverCallbackExecutorThreads": Integer => Fixed("0") => NoEffect(why::THREADS);
        "serverSelectorThreads": Integer => Fixed("3") => NoEffect(why::THREADS);
        "serverOnewaySemaphoreValue": Integer => Fixed("256") => NoEffect(why::NO_QUEUE);
        "serverAsyncSemaphoreValue": Integer => Fixed("64") => NoEffect(why::NO_QUEUE);
        "serverChannelMaxIdleTimeSeconds": Integer => Fixed("120") => Used;
        "serverSocketSndBufSize": Integer => Fixed("0") => NoEffect(why::CLIENT);
        "serverSocketRcvBufSize": Integer => Fixed("0") => NoEffect(why::CLIENT);
        "writeBufferHighWaterMark": Integer => Fixed("0") => Used;
        "writeBufferLowWaterMark": Integer => Fixed("0") => Used;
        "serverSocketBacklog": Integer => Fixed("1024") => NoEffect(why::CLIENT);
        "serverNettyWorkerGroupEnable": Boolean => Fixed("true") => NoEffect(why::THREADS);
        "serverPooledByteBufAllocatorEnable": Boolean => Fixed("true") => NoEffect(why::FILES);
        "enableShutdownGracefully": Boolean => Fixed("false") => NoEffect(why::SHUTDOWN);
        "shutdownWaitTimeSeconds": Integer => Fixed("30") => NoEffect(why::SHUTDOWN);
        "useEpollNativeSelector": Boolean => Fixed("false") => NoEffect(why::CLIENT);
    }
}

keys! {
    /// `NettyClientConfig`.
    CLIENT of NettyClientConfig {
        "clientWorkerThreads": Integer => Fixed("4") => NoEffect(why::THREADS);
        "clientCallbackExecutorThreads": Integer => Of(|host| host.processors.to_string()) => NoEffect(why::THREADS);
        "clientOnewaySemaphoreValue": Integer => Fixed("65535") => NoEffect(why::NO_QUEUE);
        "clientAsyncSemaphoreValue": Integer => Fixed("65535") => NoEffect(why::NO_QUEUE);
        "connectTimeoutMillis": Integer => Fixed("3000") => Used;
        "channelNotActiveInterval": Integer => Fixed("60000") => NoEffect(why::CLIENT);
        "isScanAvailableNameSrv": Boolean => Fixed("true") => NoEffect(why::CLIENT);
        "clientChannelMaxIdleTimeSeconds": Integer => Fixed("120") => NoEffect(why::CLIENT);
        "clientSocketSndBufSize": Integer => Fixed("0") => NoEffect(why::CLIENT);
        "clientSocketRcvBufSize": Integer => Fixed("0") => NoEffect(why::CLIENT);
        "clientPooledByteBufAllocatorEnable": Boolean => Fixed("false") => NoEffect(why::FILES);
        "clientCloseSocketIfTimeout": Boolean => Fixed("true") => NoEffect(why::CLIENT);
        "useTLS": Boolean => Fixed("false") => Only(why::TLS);
        "socksProxyConfig": Text => Fixed("{}") => NoEffect(why::CLIENT);
        "disableCallbackExecutor": Boolean => Fixed("false") => NoEffect(why::THREADS);
        "disableNettyWorkerGroup": Boolean => Fixed("false") => NoEffect(why::THREADS);
        "maxReconnectIntervalTimeSeconds": Integer => Fixed("60") => NoEffect(why::CLIENT);
        "enableReconnectForGoAway": Boolean => Fixed("true") => NoEffect(why::CLIENT);
    }
}

"""What the dashboard shows of people who speak."""

from panel import REPLICAS, Panel, quantiles

# Close codes of WebSockets have four digits, statuses of HTTP three.
ENDED_STREAMS = f'stt_requests_total{{{REPLICAS},status=~"...."}}[$__rate_interval]'

LIVE_STREAMS: tuple[str, tuple[Panel, ...]] = (
    "Live streams",
    (
        Panel(
            "Open streams",
            "WebSockets by replica, and the most that one takes (STT_MAX_STREAMS). Near it: add"
            " replicas, or raise it while the lag stays below a second. Autoscaling follows "
            "this. All on one replica: balance by connection.",
            "short",
            (
                (f"stt_active_streams{{{REPLICAS}}}", "{{instance}}"),
                (f"min(stt_max_streams{{{REPLICAS}}})", "limit of a replica"),
            ),
        ),
        Panel(
            "Worst lag",
            "Age of the oldest audio that nobody has heard, in the worst stream of a replica. "
            "Above 1 s for long: too many for its cores, so add replicas, or lower "
            "STT_MAX_STREAMS; runbook, SttStreamsLag.",
            "s",
            ((f"stt_stream_lag_seconds{{{REPLICAS}}}", "{{instance}}"),),
            limit=1,
        ),
        Panel(
            "Partials",
            "From the arrival of the last sample that a partial covers to the partial. 95 % "
            "above half a second is felt: add replicas, raise STT_PARTIAL_INTERVAL_S, or serve "
            "a bundle with a streaming graph; runbook, SttPartialsLate.",
            "s",
            quantiles((0.5, 0.95), "stt_stream_partial_latency_seconds"),
        ),
        Panel(
            "Finals",
            "From the arrival of what ended an utterance, a silence of "
            "STT_ENDPOINT_SILENCE_S or a message, to its text. Slow with quick partials: the "
            "beam search, so STT_DECODING=greedy or a lower STT_MAX_UTTERANCE_S.",
            "s",
            quantiles((0.5, 0.95), "stt_stream_final_latency_seconds"),
        ),
        Panel(
            "Streams that ended",
            "Per second, by close code. 1000, 1001, 1005: well. 1006: the network or a proxy "
            "cut it; compare its idle time with STT_PING_INTERVAL_S. 1008, 1009: the clients' "
            "mistakes. 1011: ours, or idle for STT_STREAM_IDLE_S; runbook, SttStreamsBreak. "
            "1013: full or draining; they should come again.",
            "cps",
            ((f"sum by (status) (rate({ENDED_STREAMS}))", "{{status}}"),),
        ),
    ),
)

//! The engine's reply in the model's terms.

use mizan_engine::Output;
use mizan_model::ModelReply;

pub(crate) fn reply_of(output: &Output) -> ModelReply {
    ModelReply {
        status: output.status,
        flags: output.flags,
        sequence: output.sequence,
        timestamp: output.timestamp,
        event_count: output.event_count,
        result_size: output.result_size,
        result_count: output.result_count,
        body: output.body().to_vec(),
    }
}

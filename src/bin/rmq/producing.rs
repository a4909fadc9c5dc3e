use clap::{Args, ValueEnum};
use rocketmq_blocking::{AutoBatch, Compression, ProducerBuilder};

/// How a producer treats what it is given.
#[derive(Debug, Args)]
pub(crate) struct Producing {
    /// How bodies larger than --compress-above are compressed. Consumers have to know lz4 and zstd: Java's do from 4.9.4
    /// on, Go's and C++'s do not. [default: zlib]
    #[arg(long, value_enum, value_name = "HOW")]
    compress: Option<Compress>,

    /// From which size on bodies are compressed, if that makes them smaller. [default: 4096]
    #[arg(long, value_name = "BYTES")]
    compress_above: Option<usize>,

    /// Gather the messages of all threads into batches that leave when they are full or after 10 ms. Messages with a queue,
    /// a delay or a priority go by themselves.
    #[arg(long)]
    auto_batch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compress {
    Zlib,
    Lz4,
    Zstd,
}

impl Producing {
    pub(crate) fn apply(&self, mut builder: ProducerBuilder) -> ProducerBuilder {
        if let Some(how) = self.compress {
            builder = builder.compression(match how {
                Compress::Zlib => Compression::Zlib,
                Compress::Lz4 => Compression::Lz4,
                Compress::Zstd => Compression::Zstd,
            });
        }
        if let Some(bytes) = self.compress_above {
            builder = builder.compress_above(bytes);
        }
        if self.auto_batch {
            builder = builder.auto_batch(AutoBatch::default());
        }
        builder
    }
}

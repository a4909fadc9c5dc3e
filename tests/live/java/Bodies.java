import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Bodies in every compression, for `tests/it/compression.rs`. For each message it prints its tag, the length of its body
 * and the body's CRC-32.
 *
 * Bodies read NAME_SERVER TOPIC COUNT: reads a topic until it has so many messages.
 * Bodies send NAME_SERVER TOPIC TYPE...: sends a message in each of the types, named as in Java.
 */
public class Bodies {
    public static void main(String[] args) throws Exception {
        if (args[0].equals("read")) {
            read(args[1], args[2], Integer.parseInt(args[3]));
        } else {
            for (int i = 3; i < args.length; i++) {
                send(args[1], args[2], args[i]);
            }
        }
        System.exit(0);
    }

    private static void read(String nameServer, String topic, int count) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("it_bodies_read");
        consumer.setNamesrvAddr(nameServer);
        consumer.setVipChannelEnabled(false);
        consumer.start();
        int found = 0;
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(topic)) {
            PullResult pulled = consumer.pull(queue, "*", 0, 32);
            long offset = 0;
            while (pulled.getMsgFoundList() != null) {
                for (MessageExt message : pulled.getMsgFoundList()) {
                    print(message.getTags(), message.getBody());
                    found++;
                }
                offset = pulled.getNextBeginOffset();
                pulled = consumer.pull(queue, "*", offset, 32);
            }
        }
        if (found != count) {
            System.out.println("> " + found + " messages instead of " + count);
        }
    }

    private static void send(String nameServer, String topic, String type) throws Exception {
        // Read by each producer when it is made; there is no setter in all versions.
        System.setProperty("rocketmq.message.compressType", type);
        DefaultMQProducer producer = new DefaultMQProducer("it_bodies_send_" + type);
        producer.setNamesrvAddr(nameServer);
        producer.setVipChannelEnabled(false);
        producer.setSendMsgTimeout(15000);
        producer.start();
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 3000; i++) {
            text.append("{\"order\":").append(i).append(",\"type\":\"").append(type).append("\"}\n");
        }
        byte[] body = text.toString().getBytes(StandardCharsets.UTF_8);
        // Compressing replaces the body of the message.
        producer.send(new Message(topic, type, body));
        print(type, body);
        producer.shutdown();
    }

    private static void print(String tag, byte[] body) {
        CRC32 crc = new CRC32();
        crc.update(body);
        System.out.println("> " + tag + " " + body.length + " " + crc.getValue());
    }
}
